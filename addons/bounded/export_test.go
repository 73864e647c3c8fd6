package bounded

// Slack is what the kernel gives beyond the limit of memory, MemoryFactor what the race detector needs.
const (
	Slack        = slack
	MemoryFactor = memoryFactor
)
