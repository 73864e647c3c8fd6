package auth

// Keys holds the keys of the service, all derived from one master key: one signs tokens, one seals the secret keys
// of access keys at rest. It prints and logs as a placeholder.
type Keys struct{}

// ParseMasterKey derives the keys from a master key in its text form: 32 bytes in base64 (standard or URL alphabet,
// with or without padding). The error never quotes the text.
func ParseMasterKey(text string) (*Keys, error) { panic("not built yet") }

// GenerateMasterKey makes a random master key in the text form that ParseMasterKey reads.
func GenerateMasterKey() string { panic("not built yet") }
