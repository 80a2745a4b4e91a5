package jobs

import "time"

// HurryCutover changes how long a cutover may take.
func (a *Actuator) HurryCutover(t time.Duration) { a.cutoverTime = t }
