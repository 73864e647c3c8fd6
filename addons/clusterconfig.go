package addons

// cluster reads what is of a target of kind cluster only.
func (e *entry) cluster(opts Options) Target {
	path := e.text("kubeconfig", "the path of a kubeconfig file", func(s string) bool { return s != "" })
	context := e.text("context", "a context of the kubeconfig, or left out for its current one", func(string) bool { return true })
	if e.err != nil {
		return nil
	}
	t, err := NewCluster(ClusterOptions{Kubeconfig: path, Context: context, Logger: opts.Logger})
	if err != nil {
		e.refuse("kubeconfig", path, "the path of a readable kubeconfig file that has the context")
		return nil
	}
	return t
}
