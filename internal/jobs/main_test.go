package jobs_test

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/tricircle/tricircle/internal/store/storetest"
)

func TestMain(m *testing.M) {
	storetest.Main(m, func() error { return goleak.Find() })
}
