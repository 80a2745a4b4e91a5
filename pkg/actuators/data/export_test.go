package data

import "time"

// HurryTakeOver changes how long a take-over may take.
func (a *Actuator) HurryTakeOver(t time.Duration) { a.takeOverTime = t }
