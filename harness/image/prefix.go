package image

import (
	"fmt"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
)

// ParsePrefix reads where a registry keeps all images, as in "host:5000/team".
func ParsePrefix(s string) (string, error) {
	prefix := strings.TrimSuffix(s, "/")
	if _, err := name.NewRepository(prefix+"/x", name.StrictValidation); err != nil || strings.Contains(prefix, "://") {
		return "", fmt.Errorf("REGISTRY=%q is no place for images: use host, host:port or host/path", s)
	}
	return prefix, nil
}

// Below gives the references that images have which were copied below a prefix: the
// prefix takes the place of the registry, the repository and the tag stay.
func (r References) Below(prefix string) References {
	moved := References{}
	for short, reference := range r {
		_, repository, _ := strings.Cut(reference, "/")
		moved[short] = prefix + "/" + repository
	}
	return moved
}
