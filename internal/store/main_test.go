package store_test

import (
	"testing"

	"github.com/tricircle/tricircle/internal/store/storetest"
)

func TestMain(m *testing.M) { storetest.Main(m) }
