package image

import (
	"errors"

	"github.com/tricircle/tricircle/internal/fault"
)

func faultOf(err error) (*fault.Error, bool) { return errors.AsType[*fault.Error](err) }
