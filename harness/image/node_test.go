package image

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"
)

// kindBaseDir is the folder of kind's own files in the module that the suite is
// built with.
func kindBaseDir(t *testing.T) string {
	t.Helper()
	dir, err := (&Builder{root: checkout(t)}).kindBase(t.Context())
	require.NoError(t, err)
	return dir
}

// checkout is the root of this checkout.
func checkout(t *testing.T) string {
	t.Helper()
	root, err := Root()
	require.NoError(t, err)
	return root
}

func byPath(t *testing.T, files []file) map[string]file {
	t.Helper()
	m := map[string]file{}
	for _, f := range files {
		_, twice := m[f.path]
		assert.False(t, twice, "%s is there twice", f.path)
		m[f.path] = f
	}
	return m
}

func TestKindBaseFilesTakesWhatAKindNodeNeeds(t *testing.T) {
	files, err := kindBaseFiles(kindBaseDir(t))
	require.NoError(t, err)
	got := byPath(t, files)
	for _, p := range []string{
		"/etc/containerd/config.toml", "/etc/crictl.yaml", "/etc/systemd/system/containerd.service", "/etc/systemd/system/kubelet.service",
		"/etc/systemd/system/kubelet.service.d/10-kubeadm.conf", "/kind/bin/create-kubelet-cgroup-v2.sh", "/usr/local/bin/entrypoint",
	} {
		require.Contains(t, got, p)
	}
	for p, f := range got {
		executable := strings.HasPrefix(p, "/usr/local/bin/") || strings.HasPrefix(p, "/kind/bin/")
		assert.Equal(t, executable, f.mode == 0o755, p)
	}
	config := string(got["/etc/containerd/config.toml"].content)
	assert.Contains(t, config, `sandbox_image = "registry.k8s.io/`+pauseTag+`"`)
	assert.Equal(t, 1, strings.Count(config, "sandbox_image"))
}

func TestKindBaseFilesOfAFolderThatIsNotThere(t *testing.T) {
	_, err := kindBaseFiles(filepath.Join(t.TempDir(), "absent"))
	assert.ErrorIs(t, err, os.ErrNotExist)
}

func TestWithPauseImageChangesOneLine(t *testing.T) {
	config := "version = 2\n  sandbox_image = \"registry.k8s.io/pause:1\"\n  other = \"pause:1\"\n"
	got, err := withPauseImage([]byte(config))
	require.NoError(t, err)
	assert.Equal(t, "version = 2\n  sandbox_image = \"registry.k8s.io/"+pauseTag+"\"\n  other = \"pause:1\"\n", string(got))
}

func TestWithPauseImageNoticesThatKindChanged(t *testing.T) {
	for _, config := range []string{"", "version = 3\n", "  # sandbox_image = \"x\"\n"} {
		_, err := withPauseImage([]byte(config))
		assert.ErrorContains(t, err, "no longer names a sandbox image", config)
	}
}

// fakePrograms stands in for the folders of the components: only ctr is asked for
// anything while the node's files are listed.
func fakePrograms(t *testing.T) map[string]string {
	t.Helper()
	containerd := t.TempDir()
	spec := `{"ociVersion":"1.2.0","process":{"args":["sh"],"rlimits":[{"type":"RLIMIT_NOFILE"}],"capabilities":{"bounding":["CAP_KILL"]}},"linux":{}}`
	script := fmt.Sprintf("#!/bin/sh\n[ \"$*\" = 'oci spec' ] && echo '%s'\n", spec)
	require.NoError(t, os.WriteFile(filepath.Join(containerd, "ctr"), []byte(script), 0o755))
	return map[string]string{"containerd": containerd, "kubernetes": "/kubernetes"}
}

func nodeFilesOf(t *testing.T) map[string]file {
	t.Helper()
	files, err := (&Builder{root: checkout(t)}).nodeFiles(t.Context(), fakePrograms(t), DefaultKubernetes())
	require.NoError(t, err)
	return byPath(t, files)
}

func TestEveryUnitOfTheNodeThatIsEnabledIsThere(t *testing.T) {
	files := nodeFilesOf(t)
	enabled := 0
	for p, f := range files {
		if strings.Contains(p, ".wants/") {
			enabled++
			assert.Contains(t, files, f.link, "%s points to nothing", p)
		}
	}
	assert.Equal(t, 3, enabled)
}

func TestTheNodeHasThePrograms(t *testing.T) {
	files := nodeFilesOf(t)
	for _, p := range []string{"/usr/bin/kubelet", "/usr/bin/kubeadm", "/usr/bin/kubectl", "/usr/local/bin/containerd", "/usr/local/bin/containerd-shim-runc-v2", "/usr/local/bin/ctr"} {
		require.Contains(t, files, p)
		assert.EqualValues(t, 0o755, files[p].mode, p)
		assert.Equal(t, path.Base(p), path.Base(files[p].from), p)
	}
	assert.Equal(t, KubernetesVersion, string(files["/kind/version"].content), "kind reads the version here")
}

// An entry below one of Debian's links to /usr would replace the link.
func TestNothingOfTheNodeReplacesALinkOfDebian(t *testing.T) {
	for p := range nodeFilesOf(t) {
		for _, link := range []string{"/bin/", "/sbin/", "/lib/", "/lib64/"} {
			assert.False(t, strings.HasPrefix(p, link), p)
		}
	}
}

func TestTheRuntimeSpecIsContainerdsWithoutItsLimits(t *testing.T) {
	var spec struct{ Process map[string]any }
	require.NoError(t, json.Unmarshal(nodeFilesOf(t)["/etc/containerd/cri-base.json"].content, &spec))
	assert.NotContains(t, spec.Process, "rlimits")
	assert.Contains(t, spec.Process, "capabilities")
}

func TestARuntimeSpecThatCannotBeReadIsNamed(t *testing.T) {
	ctr := filepath.Join(t.TempDir(), "ctr")
	require.NoError(t, os.WriteFile(ctr, []byte("#!/bin/sh\necho nonsense\n"), 0o755))
	_, err := containerdRuntimeSpec(t.Context(), ctr)
	assert.ErrorContains(t, err, "reading containerd's default runtime spec")
}

func TestThePodNetworkIsValid(t *testing.T) {
	var network struct {
		Plugins []struct{ Type string }
	}
	require.NoError(t, json.Unmarshal([]byte(ptpNetwork), &network))
	require.Len(t, network.Plugins, 2)
	assert.Equal(t, "ptp", network.Plugins[0].Type)
}

func TestTheStorageClassIsTheOneThatKindExpects(t *testing.T) {
	var class struct {
		Kind     string
		Metadata struct {
			Name        string
			Annotations map[string]string
		}
		Provisioner string
	}
	require.NoError(t, yaml.Unmarshal([]byte(storageClass), &class))
	assert.Equal(t, "StorageClass", class.Kind)
	assert.Equal(t, "standard", class.Metadata.Name)
	assert.Equal(t, "true", class.Metadata.Annotations["storageclass.kubernetes.io/is-default-class"])
	assert.NotEmpty(t, class.Provisioner)
}

// copiedOut is a tar as `docker cp NODE:/var/lib/containerd -` writes it: names
// begin at the last folder of the path.
func copiedOut(t *testing.T, entries ...entry) *bytes.Buffer {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, e := range entries {
		e.Size = int64(len(e.content))
		e.Format = tar.FormatPAX
		require.NoError(t, w.WriteHeader(&e.Header))
		_, err := io.WriteString(w, e.content)
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	return &b
}

func relocateAll(t *testing.T, entries ...entry) []entry {
	t.Helper()
	var out bytes.Buffer
	require.NoError(t, relocate(copiedOut(t, entries...), &out))
	return readTar(t, &out)
}

func dir(name string) entry {
	return entry{Header: tar.Header{Typeflag: tar.TypeDir, Name: name, Mode: 0o755}}
}

func regular(name, content string) entry {
	return entry{Header: tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644}, content: content}
}

const cpSnapshots = "containerd/io.containerd.snapshotter.v1.overlayfs/snapshots/"

func TestSnapshotsAreMovedAndLinkedFromWhereContainerdLooks(t *testing.T) {
	got := relocateAll(t,
		dir("containerd/"), dir("containerd/io.containerd.snapshotter.v1.overlayfs/"),
		regular("containerd/io.containerd.snapshotter.v1.overlayfs/metadata.db", "db"),
		dir(cpSnapshots),
		dir(cpSnapshots+"1/"), dir(cpSnapshots+"1/fs/"), regular(cpSnapshots+"1/fs/a", "first"),
		dir(cpSnapshots+"12/"), regular(cpSnapshots+"12/fs/a", "twelfth"),
	)
	assert.Equal(t, []string{
		"var/lib/containerd/", "var/lib/containerd/io.containerd.snapshotter.v1.overlayfs/",
		"var/lib/containerd/io.containerd.snapshotter.v1.overlayfs/metadata.db",
		snapshots,
		snapshots + "1", bakedSnapshots + "1/", bakedSnapshots + "1/fs/", bakedSnapshots + "1/fs/a",
		snapshots + "12", bakedSnapshots + "12/", bakedSnapshots + "12/fs/a",
	}, entryNames(got), "one link for each snapshot, everything else in its order")
	assert.Equal(t, "first", find(t, got, bakedSnapshots+"1/fs/a").content)
	assert.Equal(t, "twelfth", find(t, got, bakedSnapshots+"12/fs/a").content)
	link := find(t, got, snapshots+"12")
	assert.Equal(t, byte(tar.TypeSymlink), link.Typeflag)
	assert.Equal(t, "/"+bakedSnapshots+"12", link.Linkname)
}

func TestHardLinksFollowTheirFiles(t *testing.T) {
	hard := func(name, to string) entry {
		return entry{Header: tar.Header{Typeflag: tar.TypeLink, Name: name, Linkname: to}}
	}
	got := relocateAll(t,
		regular("containerd/content/a", ""), hard("containerd/content/b", "containerd/content/a"),
		regular(cpSnapshots+"1/fs/a", "x"), hard(cpSnapshots+"1/fs/b", cpSnapshots+"1/fs/a"),
	)
	assert.Equal(t, "var/lib/containerd/content/a", find(t, got, "var/lib/containerd/content/b").Linkname)
	assert.Equal(t, bakedSnapshots+"1/fs/a", find(t, got, bakedSnapshots+"1/fs/b").Linkname)
}

func TestSymbolicLinksInsideImagesStay(t *testing.T) {
	got := relocateAll(t, entry{Header: tar.Header{Typeflag: tar.TypeSymlink, Name: cpSnapshots + "1/fs/bin", Linkname: "usr/bin"}})
	assert.Equal(t, "usr/bin", find(t, got, bakedSnapshots+"1/fs/bin").Linkname)
}

func TestRelocationKeepsWhatAFileIs(t *testing.T) {
	long := strings.Repeat("long/", 40) + "name"
	when := time.Unix(1_700_000_000, 0)
	got := relocateAll(t,
		entry{Header: tar.Header{
			Typeflag: tar.TypeReg, Name: cpSnapshots + "1/fs/" + long, Mode: 0o4755, Uid: 1337, Gid: 65534, ModTime: when,
			PAXRecords: map[string]string{"SCHILY.xattr.security.capability": "\x01\x00\x02"},
		}, content: "x"},
		entry{Header: tar.Header{Typeflag: tar.TypeChar, Name: cpSnapshots + "1/fs/whiteout"}},
		entry{Header: tar.Header{
			Typeflag: tar.TypeDir, Name: cpSnapshots + "1/fs/opaque/", Mode: 0o1777,
			PAXRecords: map[string]string{"SCHILY.xattr.trusted.overlay.opaque": "y"},
		}},
	)
	f := find(t, got, bakedSnapshots+"1/fs/"+long)
	assert.EqualValues(t, 0o4755, f.Mode)
	assert.Equal(t, []int{1337, 65534}, []int{f.Uid, f.Gid})
	assert.True(t, when.Equal(f.ModTime))
	assert.Equal(t, "\x01\x00\x02", f.PAXRecords["SCHILY.xattr.security.capability"])
	assert.Equal(t, byte(tar.TypeChar), find(t, got, bakedSnapshots+"1/fs/whiteout").Typeflag)
	opaque := find(t, got, bakedSnapshots+"1/fs/opaque/")
	assert.Equal(t, "y", opaque.PAXRecords["SCHILY.xattr.trusted.overlay.opaque"])
	assert.EqualValues(t, 0o1777, opaque.Mode)
}

func TestRelocated(t *testing.T) {
	for name, want := range map[string]string{
		"containerd/":           "var/lib/containerd/",
		"/containerd/x":         "var/lib/containerd/x",
		cpSnapshots:             snapshots,
		cpSnapshots + "7/":      bakedSnapshots + "7/",
		cpSnapshots + "7/fs/a":  bakedSnapshots + "7/fs/a",
		"containerd/snapshots/": "var/lib/containerd/snapshots/",
	} {
		assert.Equal(t, want, relocated(name), name)
	}
}

func TestACopyThatIsCutOffIsAnError(t *testing.T) {
	whole := copiedOut(t, regular(cpSnapshots+"1/fs/a", strings.Repeat("x", 5000))).Bytes()
	for name, stream := range map[string][]byte{
		"in a file":   whole[:2000],
		"in a header": whole[:100],
		"not a tar":   []byte(strings.Repeat("no such container ", 60)),
	} {
		t.Run(name, func(t *testing.T) { assert.Error(t, relocate(bytes.NewReader(stream), io.Discard)) })
	}
}

func TestAFullDiskStopsTheCopy(t *testing.T) {
	full := writerFunc(func([]byte) (int, error) { return 0, os.ErrClosed })
	assert.ErrorIs(t, relocate(copiedOut(t, dir("containerd/")), full), os.ErrClosed)
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// Whatever an engine sends, the layer that comes of it is a tar that can be read,
// and nothing in it is where containerd does not look for it.
func FuzzRelocate(f *testing.F) {
	var seed bytes.Buffer
	w := tar.NewWriter(&seed)
	_ = w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: cpSnapshots + "1/fs/a", Size: 1, Format: tar.FormatPAX, PAXRecords: map[string]string{"SCHILY.xattr.user.a": "b"}})
	_, _ = w.Write([]byte("x"))
	_ = w.Close()
	f.Add(seed.Bytes())
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, stream []byte) {
		var out bytes.Buffer
		if relocate(bytes.NewReader(stream), &out) != nil {
			return
		}
		for _, e := range readTar(t, &out) {
			assert.True(t, strings.HasPrefix(e.Name, "var/lib/") || strings.HasPrefix(e.Name, bakedSnapshots), e.Name)
		}
	})
}
