//go:build race

package bounded

// memoryFactor is how many times the addresses are that the race detector makes of what is used.
const memoryFactor = 8
