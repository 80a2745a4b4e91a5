package catalog

// Await waits until nothing is being read of a repository.
func (c *Catalog) Await(name string) {
	c.mu.Lock()
	reading := c.entries[name].reading
	c.mu.Unlock()
	if reading != nil {
		<-reading
	}
}
