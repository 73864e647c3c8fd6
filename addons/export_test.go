package addons

import "context"

// Render gives the files that a bucket would hold of a chart.
func Render(ctx context.Context, r Release, c Chart) (map[string][]byte, error) {
	objects, _, err := render(ctx, r, c)
	if err != nil {
		return nil, err
	}
	return files(objects)
}
