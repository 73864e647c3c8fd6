package client

// Error is a refusal by the service.
type Error struct {
	Status    int    // HTTP status
	Code      string // the contract's code, such as "ROMA.10012"; empty when the body had none
	Message   string
	Details   string
	RequestID string // finds the request in the service's log
}

// Error gives status, code and message.
func (e *Error) Error() string { panic("not built yet") }
