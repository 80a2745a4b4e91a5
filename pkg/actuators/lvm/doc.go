// Package lvm makes changes to LVM: one file per kind of change.
//
// Each change is one LVM command, and where it could do harm it carries its own
// condition, so that LVM checks it under the lock of the volume group and nothing
// can happen in between. It never removes a logical volume without the object's tags,
// and never repairs, shrinks or rolls back anything. Several changes of a kind can be one command,
// see batch.go; the conditions are the same.
//
// Start reading at [Actuator.Apply]; condition.go has the conditions, and errors.go says
// what LVM's errors mean.
package lvm
