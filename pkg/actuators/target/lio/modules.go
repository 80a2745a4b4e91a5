package lio

import (
	"context"

	"github.com/volreconciler/volreconciler/pkg/actuators/target/internal/configfs"
	"github.com/volreconciler/volreconciler/pkg/observe"
)

// loadCore sees to it that LIO can be configured at all.
func (a *Actuator) loadCore(ctx context.Context) error {
	a.loading.Lock()
	defer a.loading.Unlock()
	return configfs.Load(ctx, a.host, observe.LIODir, "target_core_mod")
}

// makeDriverDir makes a directory whose driver the kernel loads by itself where
// it may; where it may not, the module is loaded first.
func (a *Actuator) makeDriverDir(ctx context.Context, dir, module string) error {
	a.loading.Lock()
	defer a.loading.Unlock()
	err := a.makeDir(dir)
	if err == nil {
		return nil
	}
	if _, err := a.host.Run(ctx, "modprobe", module); err != nil {
		return err
	}
	return a.makeDir(dir)
}
