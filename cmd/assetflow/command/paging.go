package command

import (
	"strconv"

	"github.com/spf13/cobra"
)

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

// collectCounted is collect for lists that are paged by offset and say how many there are in all.
func collectCounted[T any](p paging, page func(limit, offset int) (items []T, count int, err error)) ([]T, string, error) {
	return collect(p, func(limit int, cursor string) ([]T, string, error) {
		offset := offsetOf(cursor)
		items, count, err := page(limit, offset)
		return items, nextOffset(offset, len(items), count), err
	})
}

// offsetOf reads a cursor of nextOffset; 0 where it is empty.
func offsetOf(cursor string) int {
	offset, _ := strconv.Atoi(cursor)
	return offset
}

// nextOffset makes the cursor behind a page of so many items of a list of count; empty where there is no more.
func nextOffset(offset, items, count int) string {
	next := offset + items
	if items == 0 || next >= count {
		return ""
	}
	return strconv.Itoa(next)
}

// noteMore says that a list has more than was shown.
func (a *app) noteMore(next string) {
	if next != "" {
		a.note("There are more: --limit N shows N of them, --all shows all.")
	}
}
