package conformance

import (
	"bytes"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/observe"
	"github.com/seed-140c7b37/mtls-scrape-conformance/harness/observe/simulated"
	"github.com/seed-140c7b37/mtls-scrape-conformance/reports"
	"github.com/seed-140c7b37/mtls-scrape-conformance/suites/run"
)

// signing is the key that signs the reports of these tests.
var signing = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, ed25519.SeedSize))

// written is the directory of a run that observed something, in which everything is
// there that a run leaves for others.
func written(t *testing.T, o observe.Observation, c run.Config) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "x1")
	c.Mode, c.Observation = run.Explain, filepath.Join(dir, "observations", "conformance.json")
	require.NoError(t, observe.Write(c.Observation, o))
	r := &run.Run{Config: c, Terminal: reports.NewTerminal(io.Discard, reports.Style{}), Report: &reports.Report{
		SchemaVersion: reports.SchemaVersion, RunID: "x1", StartedAt: o.At, EndedAt: o.At.Add(time.Minute),
		Suite: reports.Suite{Version: run.Version, Commit: run.Commit},
	}}
	s, err := NewSession(r)
	require.NoError(t, err)
	require.NoError(t, s.Explain())
	_, err = reports.WriteAll(dir, *r.Report, signing)
	require.NoError(t, err)
	return dir
}

// everything selects what a run without options does and all that disrupts.
var everything = run.Config{Profiles: []string{"all"}}

// publicKey is a file with the key that belongs to a signing one.
func publicKey(t *testing.T, key ed25519.PrivateKey) string {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "key.pub")
	require.NoError(t, os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), 0o600))
	return file
}

// binary runs this suite's binary as a user does.
func binary(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], args...)
	cmd.Dir = t.TempDir()
	var out, err bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &err
	var exit *exec.ExitError
	if e := cmd.Run(); e != nil {
		require.ErrorAs(t, e, &exit)
	}
	return cmd.ProcessState.ExitCode(), out.String(), err.String()
}

// edit replaces text in a file of a run.
func edit(t *testing.T, dir, name, before, after string) {
	t.Helper()
	path := filepath.Join(dir, filepath.FromSlash(name))
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Contains(t, string(text), before)
	require.NoError(t, os.WriteFile(path, []byte(strings.ReplaceAll(string(text), before, after)), 0o600))
}

// usual is what a run without options sees of the real stack.
func usual(t *testing.T) observe.Observation {
	o := whole(t)
	o.RootRotation, o.Episodes = nil, nil
	return o
}

// broken is the real stack as if every target were down.
func broken(t *testing.T) observe.Observation {
	o := usual(t)
	for i := range o.Replicas {
		for j := range o.Replicas[i].Targets {
			o.Replicas[i].Targets[j].Health = "down"
		}
	}
	return o
}

func TestVerify(t *testing.T) {
	stranger := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{8}, ed25519.SeedSize))
	ours := publicKey(t, signing)
	for name, c := range map[string]struct {
		observed observe.Observation
		selected run.Config
		key      string
		spoil    func(t *testing.T, dir string)
		code     reports.ExitCode
		says     string
	}{
		"a good report":             {usual(t), run.Config{}, ours, nil, reports.ExitConformant, "proven: setup, scrape, refusal, rotation (exit code 0)"},
		"one of everything":         {whole(t), everything, ours, nil, reports.ExitConformant, "proven: setup, scrape, refusal, rotation, resilience"},
		"of what is not conformant": {broken(t), run.Config{}, ours, nil, reports.ExitCheckFailed, "nothing speaks against this report, which says: not conformant"},
		"without anybody's key":     {usual(t), run.Config{}, "", nil, reports.ExitInconclusive, "nobody's signature was verified"},
		"by a stranger's key":       {usual(t), run.Config{}, publicKey(t, stranger), nil, reports.ExitCheckFailed, "and not with the"},
		"that left a check out":     {usual(t), run.Config{Levels: []string{"core"}, Skip: map[string]string{"targets-up": "known"}}, ours, nil, reports.ExitConformant, "proven: setup, refusal, rotation (exit code 0)"},
		"of a guest":                {attach(t, simulated.New(t, whole(t))), run.Config{}, ours, nil, reports.ExitConformant, "proven: scrape (exit code 0)"},
		"that skipped an extended":  {usual(t), run.Config{Skip: map[string]string{"side-doors-known": "known"}}, ours, nil, reports.ExitConformant, "proven: setup, scrape, refusal, rotation"},
		"of which a pass was made up": {broken(t), run.Config{}, ours, func(t *testing.T, dir string) {
			edit(t, dir, reports.FileName, `"verdict": "fail"`, `"verdict": "pass"`)
		}, reports.ExitCheckFailed, "check targets-up: the report says pass, but the observation, judged again, says fail"},
		"whose observation was edited": {usual(t), run.Config{}, ours, func(t *testing.T, dir string) {
			edit(t, dir, "observations/conformance.json", `"up"`, `"down"`)
		}, reports.ExitCheckFailed, "observations/conformance.json is not the file that was attested"},
		"whose observation is gone": {usual(t), run.Config{}, ours, func(t *testing.T, dir string) {
			require.NoError(t, os.RemoveAll(filepath.Join(dir, "observations")))
		}, reports.ExitCheckFailed, "the report has nothing but its own word"},
		"that is gone": {usual(t), run.Config{}, ours, func(t *testing.T, dir string) {
			require.NoError(t, os.Remove(filepath.Join(dir, reports.FileName)))
		}, reports.ExitCheckFailed, "there is no report.json"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := written(t, c.observed, c.selected)
			if c.spoil != nil {
				c.spoil(t, dir)
			}
			args := []string{"-mode=verify", "-dir=" + dir}
			if c.key != "" {
				args = append(args, "-public-key="+c.key)
			}
			code, stdout, stderr := binary(t, args...)
			assert.Equal(t, int(c.code), code, stdout)
			assert.Empty(t, stderr)
			assert.Contains(t, strings.Join(strings.Fields(stdout), " "), c.says)

			code, stdout, _ = binary(t, append(args, "-format=json")...)
			assert.Equal(t, int(c.code), code)
			var v struct{ ExitCode reports.ExitCode }
			require.NoError(t, json.Unmarshal([]byte(stdout), &v))
			assert.Equal(t, c.code, v.ExitCode)
		})
	}
}

// A guest who may not look at files claims less, and says so himself.
func TestAGuestClaimsWhatHeSaw(t *testing.T) {
	r, err := reports.Read(written(t, attach(t, simulated.New(t, whole(t))), run.Config{}))
	require.NoError(t, err)
	assert.Equal(t, reports.ExitConformant, r.ExitCode)
	assert.Equal(t, []string{ProfileScrape}, r.Claims())
	assert.Equal(t, "conformant as far as seen", r.Word())
	assert.Contains(t, r.Headline(), "setup not claimed, 3 core checks skipped (certificates-mounted, certificate-identity, traffic-not-intercepted)")
}

// A run judges its first profiles before it looks on for the others, and a report is
// verified by what was seen in the end.
func TestWhatIsSeenLaterChangesNoEarlierResult(t *testing.T) {
	last := whole(t)
	before := whole(t)
	before.Watch, before.WithoutCA, before.RootRotation, before.Episodes = nil, nil, nil, nil
	meanwhile := whole(t)
	meanwhile.Episodes = nil
	for _, c := range Catalogue() {
		seen := map[string]observe.Observation{ProfileRotation: meanwhile, ProfileResilience: last}
		o, ok := seen[c.Profile]
		if !ok {
			o = before
		}
		assert.Equal(t, c.Judge(o), c.Judge(last), c.ID)
	}
}

func TestEveryProfileRequiresItsCoreChecks(t *testing.T) {
	for _, p := range Profiles() {
		assert.NotEmpty(t, required(reports.Report{}, p), p)
	}
	assert.Equal(t, []string{"scraper-certificate-rotated", "target-certificate-rotated"}, required(reports.Report{}, ProfileRotation), "those that any subject must hold")
	assert.Equal(t, []string{"plaintext-refused", "no-certificate-refused", "foreign-certificate-refused"}, required(reports.Report{}, ProfileRefusal))
	assert.Empty(t, required(reports.Report{}, "scrap"))
}

// What a disruption is allowed to cost is no loss at an upgrade; anything else is.
func TestCompareOfRealRuns(t *testing.T) {
	plain, disrupted := written(t, usual(t), run.Config{}), written(t, whole(t), everything)
	lossy := usual(t)
	unmeshed := &lossy.Watch.Up[0].Series[0]
	require.NotEqual(t, WithoutCA, unmeshed.Labels["job"])
	unmeshed.Points[3].Value = 0
	for name, c := range map[string]struct {
		before, after string
		code          reports.ExitCode
		says          string
	}{
		"the same":                     {plain, plain, reports.ExitConformant, "NOTHING IS WORSE"},
		"a rollout beside":             {disrupted, disrupted, reports.ExitConformant, "NOTHING IS WORSE"},
		"a scrape lost in the watch":   {plain, written(t, lossy, run.Config{}), reports.ExitCheckFailed, "1 scrape missed that no check excuses, 0 before"},
		"targets that are down":        {plain, written(t, broken(t), run.Config{}), reports.ExitCheckFailed, "targets-up passed and now fails"},
		"a profile that was not asked": {disrupted, plain, reports.ExitInconclusive, "prometheus-restart-survived passed and was not run again"},
	} {
		t.Run(name, func(t *testing.T) {
			code, stdout, stderr := binary(t, "-mode=compare", "-before="+c.before, "-after="+c.after)
			assert.Equal(t, int(c.code), code, stdout)
			assert.Empty(t, stderr)
			assert.Contains(t, strings.Join(strings.Fields(stdout), " "), c.says)
		})
	}
}
