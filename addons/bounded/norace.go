//go:build !race

package bounded

// memoryFactor is how many times the addresses are of what is used.
const memoryFactor = 1
