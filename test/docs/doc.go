// Package docs holds the documentation to what the program does: every YAML
// block in it is read as a user's would be, and every setting, command and
// reason has to be described. It is tests only.
package docs
