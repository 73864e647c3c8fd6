package bounded

// Slack is what the kernel gives beyond the limit of memory.
const Slack = slack
