package command

import "github.com/spf13/cobra"

// paging are the flags of lists.
type paging struct {
	limit int
	all   bool
}

// maxPage is the largest page that the service gives.
const maxPage = 500

func (p *paging) add(cmd *cobra.Command) {
	cmd.Flags().IntVar(&p.limit, "limit", 50, "list at most `N`")
	cmd.Flags().BoolVar(&p.all, "all", false, "list everything")
	cmd.MarkFlagsMutuallyExclusive("limit", "all")
}

func (p *paging) check() error {
	if !p.all && p.limit < 1 {
		return usagef("--limit %d: must be at least 1", p.limit)
	}
	return nil
}

// collect asks for page after page, until there is enough. next is the cursor where there is more.
func collect[T any](p paging, page func(limit int, cursor string) ([]T, string, error)) (all []T, next string, err error) {
	all = []T{} // never null in JSON
	for {
		limit := maxPage
		if !p.all {
			limit = min(limit, p.limit-len(all))
		}
		var items []T
		items, next, err = page(limit, next)
		if err != nil {
			return nil, "", err
		}
		all = append(all, items...)
		if next == "" || !p.all && len(all) >= p.limit {
			return all, next, nil
		}
	}
}

// noteMore says that a list has more than was shown.
func (a *app) noteMore(next string) {
	if next != "" {
		a.note("There are more: --limit N shows N of them, --all shows all.")
	}
}
