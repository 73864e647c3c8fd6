package addons

// cluster reads what is of a target of kind cluster only.
func (e *entry) cluster(_ Options) Target {
	given := func(s string) bool { return s != "" }
	e.text("kubeconfig", "the path of a kubeconfig file", given)
	e.text("context", "a context of the kubeconfig, or left out for its current one", func(string) bool { return true })
	e.refuse("kind", Cluster, `"bucket"`)
	return nil
}
