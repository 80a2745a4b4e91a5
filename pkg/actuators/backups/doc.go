// Package backups makes and removes backups, and keeps their repositories in order: it applies the changes of the
// system [observe.Repositories]. [Restorer] restores backups for the actuator of jobs.
//
// It never trusts the plan with what cannot be undone: it reads the repository again before it removes a
// backup, removes nothing that is not of the Volume, and never the last complete backup of one. It writes to no
// volume.
//
// Start reading at [Actuator.Apply].
package backups
