package run

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/image"
)

// load settles a configuration in an empty folder, with a config.yaml in it if
// there is any content for one.
func load(t *testing.T, file string, args ...string) (Config, *flag.FlagSet, error) {
	t.Helper()
	t.Chdir(t.TempDir())
	t.Setenv("CACHE", "cache")
	if file != "" {
		require.NoError(t, os.WriteFile("config.yaml", []byte(file), 0o644))
	}
	flags := flag.NewFlagSet("conformance", flag.ContinueOnError)
	flags.Bool("test.v", false, "go test's own")
	c, err := Load(flags, args)
	return c, flags, err
}

func TestDefaults(t *testing.T) {
	c, _, err := load(t, "")
	require.NoError(t, err)
	wd, err := os.Getwd()
	require.NoError(t, err)
	assert.Equal(t, Unit, c.Mode)
	assert.Equal(t, image.Auto, c.Images)
	assert.Empty(t, c.Cluster)
	assert.False(t, c.Keep)
	assert.Equal(t, filepath.Join(wd, "reports", "out"), c.Out)
	assert.Equal(t, filepath.Join(wd, "cache"), c.Cache)
	assert.Equal(t, time.Minute, c.Settle)
	assert.Equal(t, 2*time.Minute, c.Watch)
}

func TestAFlagWinsOverTheFileAndTheFileOverTheDefault(t *testing.T) {
	c, _, err := load(t, "settle: 30s\nwatch: 40s\nimages: packages\nkeep: true\n", "-watch=50s", "-keep=false")
	require.NoError(t, err)
	assert.Equal(t, 30*time.Second, c.Settle, "from the file")
	assert.Equal(t, 50*time.Second, c.Watch, "from the flag")
	assert.Equal(t, image.Packages, c.Images, "from the file")
	assert.False(t, c.Keep, "from the flag, though it is the default")
}

func TestAFlagWinsOverTheFileForWhatMayBeRepeated(t *testing.T) {
	c, _, err := load(t, "skip:\n  targets-up: from the file\n  plaintext-refused: from the file\nprofile: [scrape, refusal]\n", "-skip=targets-up=from the flag", "-profile=rotation")
	require.NoError(t, err)
	assert.Equal(t, map[string]string{"targets-up": "from the flag"}, c.Skip)
	assert.Equal(t, []string{"rotation"}, c.Profiles)
}

func TestTheFileSaysListsAsLists(t *testing.T) {
	c, _, err := load(t, "skip:\n  a: because\n  b: of = this\nprofile: [scrape, refusal]\nlevel: core,extended\ncheck: ^targets-\n")
	require.NoError(t, err)
	assert.Equal(t, map[string]string{"a": "because", "b": "of = this"}, c.Skip)
	assert.Equal(t, []string{"scrape", "refusal"}, c.Profiles)
	assert.Equal(t, []string{"core", "extended"}, c.Levels)
	assert.Equal(t, "^targets-", c.Select.String())
}

func TestTheFileMayBeNamed(t *testing.T) {
	other := filepath.Join(t.TempDir(), "other.yaml")
	require.NoError(t, os.WriteFile(other, []byte("settle: 7s\n"), 0o644))
	c, _, err := load(t, "settle: 8s\n", "-config="+other)
	require.NoError(t, err)
	assert.Equal(t, 7*time.Second, c.Settle)
}

func TestAFileWithNothingInItChangesNothing(t *testing.T) {
	for _, file := range []string{"\n", "# only a comment\n", "{}\n", "---\n"} {
		c, _, err := load(t, file)
		require.NoError(t, err, "%q", file)
		assert.Equal(t, time.Minute, c.Settle)
	}
}

func TestGoTestsOwnFlagsAreRead(t *testing.T) {
	_, flags, err := load(t, "", "-test.v", "-mode=e2e")
	require.NoError(t, err)
	assert.Equal(t, "true", flags.Lookup("test.v").Value.String())
}

// Whatever is wrong, it is told in one sentence, names the thing, and is a mistake
// of the user's, not of the set-up.
func TestMistakesOfUsage(t *testing.T) {
	for name, c := range map[string]struct {
		file string
		args []string
		says []string
	}{
		"an unknown flag":           {"", []string{"-bogus"}, []string{"-bogus", "make help"}},
		"a flag without its value":  {"", []string{"-mode"}, []string{"-mode", "make help"}},
		"a positional argument":     {"", []string{"-mode=e2e", "now"}, []string{`unexpected argument "now"`, "-name=value"}},
		"a mode that is none":       {"", []string{"-mode=test"}, []string{`"test"`, "-mode", "e2e, up, check, down, clean, explain, compare, verify, attach, doctor, watch or sandbox"}},
		"a source that is none":     {"", []string{"-images=docker"}, []string{`"docker"`, "registry, packages or auto"}},
		"a cluster of another name": {"", []string{"-cluster=kind"}, []string{`"kind"`, "must begin with mtls-scrape-"}},
		"a cluster that is a path":  {"", []string{"-cluster=mtls-scrape-x/../../../root"}, []string{"lower-case letters, digits"}},
		"a mirror that is none":     {"", []string{"-mirror=http:/x"}, []string{`"http:/x"`, "-mirror", "host:port"}},
		"a mirror for packages":     {"", []string{"-images=packages", "-mirror=localhost:5000"}, []string{"no registry is asked", "-images=registry"}},
		"a lock for packages":       {"", []string{"-images=packages", "-lock=."}, []string{"no registry is asked", "-images=registry"}},
		"a lock that is not there":  {"", []string{"-lock=absent.json"}, []string{"absent.json", "`images lock FILE`"}},
		"a time without a unit":     {"", []string{"-settle=90"}, []string{`"90"`, "-settle", "such as 90s"}},
		"a time that is none":       {"", []string{"-watch=soon"}, []string{`"soon"`, "-watch", "such as 90s"}},
		"a time below zero":         {"", []string{"-watch=-5s"}, []string{`"-5s"`, "-watch"}},
		"keep that is not yes or no": {
			"", []string{"-keep=perhaps"}, []string{`"perhaps"`, "-keep"},
		},
		"a regular expression that is none": {"", []string{"-check=("}, []string{`"("`, "-check", "missing closing )"}},
		"explain without an observation":    {"", []string{"-mode=explain"}, []string{"explain needs -observation=FILE"}},

		"a Job without an image":     {"", []string{"-mode=attach", "-in-cluster"}, []string{"in-cluster needs -image=host/path:tag", "`make suite-image`"}},
		"a Job that makes a cluster": {"", []string{"-mode=e2e", "-in-cluster", "-image=a/b:c"}, []string{"use it with -mode=attach"}},
		"a kubeconfig for a Job":     {"", []string{"-mode=attach", "-in-cluster", "-image=a/b:c", "-mesh-context=plane"}, []string{"no kubeconfig is put into the cluster"}},
		"an image of no such name":   {"", []string{"-image=A/b"}, []string{`"A/b"`, "-image", "host/path:tag"}},
		"an ID that is no name":      {"", []string{"-run-id=../x"}, []string{`"../x"`, "-run-id", "letters, digits and hyphens"}},
		"a way out that is none":     {"", []string{"-deliver=mail"}, []string{`"mail"`, "-deliver", "use log"}},
		"compare without a report":   {"", []string{"-mode=compare"}, []string{"compare needs -before=REPORT and -after=REPORT"}},
		"compare with one report":    {"", []string{"-mode=compare", "-before=a"}, []string{"compare needs -before=REPORT and -after=REPORT"}},
		"a format that is none":      {"", []string{"-mode=verify", "-format=xml"}, []string{`"xml"`, "-format", "use text or json"}},

		"a file that is not there":    {"", []string{"-config=absent.yaml"}, []string{"reading the configuration", "absent.yaml"}},
		"a file that is a folder":     {"", []string{"-config=."}, []string{"reading the configuration"}},
		"a file that is malformed":    {"settle: [", nil, []string{"reading the configuration config.yaml"}},
		"a file that is a list":       {"- settle\n", nil, []string{"reading the configuration config.yaml"}},
		"a key twice":                 {"settle: 1s\nsettle: 2s\n", nil, []string{"config.yaml", "settle"}},
		"an unknown key":              {"setle: 1s\n", nil, []string{`config.yaml sets "setle", which is not an option`}},
		"a flag of go test as a key":  {"test.v: true\n", nil, []string{`"test.v", which is not an option`}},
		"the file itself as a key":    {"config: other.yaml\n", nil, []string{`"config", which is not an option`}},
		"a wrong value in the file":   {"images: docker\n", nil, []string{"config.yaml sets images to docker", "registry, packages or auto"}},
		"a number for a time":         {"settle: 90\n", nil, []string{"config.yaml sets settle to 90", "such as 90s"}},
		"a key without a value":       {"out:\n", nil, []string{"config.yaml sets out", "takes one value"}},
		"a list for a single value":   {"out: [a, b]\n", nil, []string{"config.yaml sets out", "takes one value"}},
		"an object for a value":       {"images: {a: b}\n", nil, []string{"config.yaml sets images", "takes one value"}},
		"a cluster name in the file":  {"cluster: kind\n", nil, []string{"config.yaml sets cluster to kind", "must begin with mtls-scrape-"}},
		"a wrong value that is unset": {"settle: soon\n", nil, []string{"config.yaml sets settle to soon"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := load(t, c.file, c.args...)
			require.Error(t, err)
			var usage UsageError
			require.ErrorAs(t, err, &usage)
			for _, says := range c.says {
				assert.ErrorContains(t, err, says)
			}
			assert.NotContains(t, strings.TrimRight(err.Error(), "\n"), "\n", "one sentence")
		})
	}
}

func TestTheFirstOfSeveralMistakesIsAlwaysTheSame(t *testing.T) {
	for range 20 {
		_, _, err := load(t, "zz: 1\nbb: 1\naa: 1\nyy: 1\n")
		require.ErrorContains(t, err, `"aa"`)
	}
}

func TestHelpIsNoMistakeInItself(t *testing.T) {
	for _, arg := range []string{"-h", "-help"} {
		_, _, err := load(t, "", arg)
		assert.ErrorIs(t, err, flag.ErrHelp)
	}
}

func TestTheClusterThatUpMakesIsTheOneThatCheckAndDownTake(t *testing.T) {
	for _, mode := range []Mode{Up, Check, Down} {
		c, _, err := load(t, "", "-mode="+string(mode))
		require.NoError(t, err)
		assert.Equal(t, devCluster, c.Cluster, mode)
	}
	for _, mode := range []Mode{Unit, E2E, Clean} {
		c, _, err := load(t, "", "-mode="+string(mode))
		require.NoError(t, err)
		assert.Empty(t, c.Cluster, mode)
	}
	c, _, err := load(t, "", "-mode=up", "-cluster=mtls-scrape-mine")
	require.NoError(t, err)
	assert.Equal(t, "mtls-scrape-mine", c.Cluster)
}

func TestVerifyTakesTheLatestRun(t *testing.T) {
	c, _, err := load(t, "", "-mode=verify", "-out=elsewhere")
	require.NoError(t, err)
	assert.Equal(t, filepath.Join(c.Out, "latest"), c.Dir)
	assert.Equal(t, formatText, c.Format)
	c, _, err = load(t, "dir: a\nformat: json\n", "-mode=verify", "-dir=b")
	require.NoError(t, err)
	assert.Equal(t, []string{"b", formatJSON}, []string{c.Dir, c.Format})
}

func TestUpKeepsItsCluster(t *testing.T) {
	c, _, err := load(t, "", "-mode=up", "-keep=false")
	require.NoError(t, err)
	assert.True(t, c.Keep)
	c, _, err = load(t, "", "-mode=e2e")
	require.NoError(t, err)
	assert.False(t, c.Keep)
}

func TestAMirrorIsUsedUnlessAnotherSourceIsAskedFor(t *testing.T) {
	c, _, err := load(t, "mirror: localhost:5000\nlock: config.yaml\n")
	require.NoError(t, err)
	assert.Equal(t, image.Registry, c.Images)
	assert.Equal(t, "http://localhost:5000", c.Settings()["mirror"])
	assert.True(t, filepath.IsAbs(c.Lock))
}

func TestSettingsNameTheClustersOfAFleet(t *testing.T) {
	c, _, err := load(t, "contexts: [a, b=team/own]\n", "-mode=attach")
	require.NoError(t, err)
	assert.Equal(t, "a,b=team/own", c.Settings()["contexts"])
	c, _, err = load(t, "contexts: [a, b]\n", "-mode=attach", "-contexts=", "-context=a")
	require.NoError(t, err)
	assert.Empty(t, c.Contexts, "as the run of one of them is started")
}

func TestSettingsHaveEveryOption(t *testing.T) {
	c, flags, err := load(t, "", "-mode=e2e", "-images=packages", "-kubernetes=1.36", "-prometheus=v3.12.0", "-istio=1.30", "-next=1.31", "-next-prometheus=v3.16", "-operator=v0.91", "-next-operator=v0.92", "-cluster=mtls-scrape-x", "-keep", "-out=/o", "-cache=/c", "-settle=1s", "-watch=2m", "-outage=7s", "-repeat=3",
		"-check=^a", "-profile=scrape,refusal", "-level=core", "-label=disruptive=false", "-skip=b=why", "-skip=a=because", "-dry-run", "-observation=/x.json",
		"-before=a", "-after=b", "-allow=c.yaml", "-dir=d", "-public-key=e.pub", "-format=json",
		"-kubeconfig=k", "-context=prod", "-mesh-kubeconfig=m", "-mesh-context=plane", "-namespace=monitoring", "-prom=k8s", "-permit=exec,portforward", "-history=6h", "-for=30m", "-until=done",
		"-image=r.example/suite:v1", "-run-id=run-7", "-deliver=log",
		"-revision=1-31", "-registry=r.example/team/", "-pod-security=restricted", "-allow-disruption=root-rotated,operator-restart")
	require.NoError(t, err)
	settings := c.Settings()
	assert.Equal(t, map[string]string{
		"mode": "e2e", "images": "packages", "kubernetes": "1.36", "prometheus": "v3.12.0", "istio": "1.30.4", "next": "1.31.0", "next-prometheus": "v3.16.0", "operator": "v0.91.0", "next-operator": "v0.92.0", "cluster": "mtls-scrape-x", "keep": "true", "out": "/o", "cache": "/c", "settle": "1s", "watch": "2m0s", "outage": "7s", "repeat": "3",
		"check": "^a", "profile": "scrape,refusal", "level": "core", "label": "disruptive=false", "skip": "a=because; b=why", "dry-run": "true", "key": "", "observation": "/x.json",
		"in-cluster": "false", "image": "r.example/suite:v1", "run-id": "run-7", "deliver": "log",
		"revision": "1-31", "registry": "r.example/team", "pod-security": "restricted", "allow-disruption": "root-rotated,operator-restart",
		"before": "a", "after": "b", "allow": "c.yaml", "dir": "d", "public-key": "e.pub", "format": "json",
		"kubeconfig": "k", "context": "prod", "contexts": "", "mesh-kubeconfig": "m", "mesh-context": "plane", "namespace": "monitoring", "prom": "k8s", "permit": "exec,portforward", "history": "6h0m0s", "for": "30m0s", "until": "done",
		"mirror": "", "lock": "",
	}, settings)
	flags.VisitAll(func(f *flag.Flag) {
		if !strings.HasPrefix(f.Name, "test.") && f.Name != "config" {
			assert.Contains(t, settings, f.Name, "a run can be repeated from its report")
		}
	})
}

func TestAUsageErrorKeepsItsCause(t *testing.T) {
	cause := errors.New("cause")
	assert.ErrorIs(t, UsageError{cause}, cause)
}

// A configuration is written by hand: whatever it says, it is read or refused.
func FuzzConfigurationFile(f *testing.F) {
	for _, seed := range []string{"settle: 30s\n", "skip: {a: b}\n", "profile: [a, 1, null]\n", "keep: yes\n", "out:\n", "cluster: mtls-scrape-x\n", "- a\n", "? {a: b}\n: c\n"} {
		f.Add([]byte(seed))
	}
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, content []byte) {
		path := filepath.Join(dir, "config.yaml")
		require.NoError(t, os.WriteFile(path, content, 0o644))
		_, err := Load(flag.NewFlagSet("conformance", flag.ContinueOnError), []string{"-config=" + path})
		if err != nil {
			assert.NotEmpty(t, err.Error())
		}
	})
}
