package assetpackage

// Problem is one thing that is wrong with a package.
type Problem struct {
	ResourceType string `json:"resource_type"` // "application" or "task"
	ResourceName string `json:"resource_name"` // the asset's name; empty for a problem of the package as a whole
	Code         string `json:"code"`          // one of the Code constants
	Message      string `json:"message"`       // a sentence for a person
}

// MaxProblems is how many problems a ProblemsError carries at most.
const MaxProblems = 10

// ProblemsError says that a package is not valid, and why. It carries at least one problem.
type ProblemsError struct {
	Problems []Problem // the first MaxProblems
	Total    int       // how many were found
}

// Error gives the first problem and how many more there are.
func (e *ProblemsError) Error() string { panic("not built yet") }
