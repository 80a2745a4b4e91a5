package lio

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/volreconciler/volreconciler/pkg/observe"
)

// loadCore sees to it that LIO can be configured at all.
func (a *Actuator) loadCore(ctx context.Context) error {
	a.loading.Lock()
	defer a.loading.Unlock()
	_, err := a.host.ReadDir(observe.LIODir)
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if _, err := a.host.Run(ctx, "modprobe", "target_core_mod"); err != nil {
		return err
	}
	_, err = a.host.ReadDir(observe.LIODir)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("target_core_mod is loaded but %s is not there: is configfs mounted? "+
			"(mount -t configfs configfs %s)", observe.LIODir, observe.ConfigFS)
	}
	return err
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
