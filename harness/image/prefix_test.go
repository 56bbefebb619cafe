package image

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestAPrefixIsAPlaceForImages(t *testing.T) {
	for given, want := range map[string]string{"r.example": "r.example", "localhost:5000/": "localhost:5000", "r.example/team/mirror": "r.example/team/mirror"} {
		got, err := ParsePrefix(given)
		require.NoError(t, err, given)
		assert.Equal(t, want, got)
	}
	for _, given := range []string{"https://r.example", "r.example/Team", "r.example/a b", "r.example/a:tag"} {
		_, err := ParsePrefix(given)
		assert.ErrorContains(t, err, "use host, host:port or host/path", given)
	}
}

func TestBelowAPrefixTheRegistryChangesAndNothingElse(t *testing.T) {
	got := References{"prometheus": "quay.io/prometheus/prometheus:v1", "probe": "localhost/mtls/probe:1"}.Below("r.example/team")
	assert.Equal(t, References{"prometheus": "r.example/team/prometheus/prometheus:v1", "probe": "r.example/team/mtls/probe:1"}, got)
}

func TestNoTwoImagesMeetBelowAPrefix(t *testing.T) {
	seen := map[string]string{}
	for name, reference := range PackagesReferences().Below("r.example") {
		assert.Empty(t, seen[reference], name)
		seen[reference] = name
	}
}
