// Package sonobuoy hands a run over to Sonobuoy, if the run is a plugin of it.
//
// The contract is that of https://sonobuoy.io/docs/main/plugins: results are put into a
// directory that both know, and then a file named done, which says where they are; what
// a plugin is at may be posted to a port of its own pod. The package knows neither
// clusters nor reports, and ends no run: where Sonobuoy does not listen, it is told once.
//
// Read [Plugin] first.
package sonobuoy

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"
)

const (
	// ResultsVariable names the directory for results, which a plugin's manifest sets and
	// so do newer Sonobuoys. Without it, a run is none of Sonobuoy's.
	ResultsVariable = "SONOBUOY_RESULTS_DIR"
	// ProgressVariable names the port for progress. It is optional.
	ProgressVariable = "SONOBUOY_PROGRESS_PORT"
	// archive has no dot but those of its suffix, by which Sonobuoy knows what it is.
	archive = "results.tar.gz"
	// done is the file that Sonobuoy waits for.
	done = "done"
	// progressTimeout bounds one post to the same pod, which takes a millisecond: a run
	// must not wait for who watches it.
	progressTimeout = 2 * time.Second
)

// Plugin is a run's way to its Sonobuoy. A nil one does nothing, so that nobody needs to
// ask whether there is one. Its methods may be called from several goroutines.
type Plugin struct {
	dir    string
	client *http.Client
	url    string       // to post progress to; empty if nobody listens
	note   func(string) // tells a person

	mu     sync.Mutex
	handed bool
}

// FromEnvironment is the plugin that the variables tell of; nil if they tell of none.
// Note tells a person what Sonobuoy did not take.
func FromEnvironment(getenv func(string) string, note func(string)) *Plugin {
	dir := getenv(ResultsVariable)
	if dir == "" {
		return nil
	}
	p := &Plugin{dir: dir, note: note, client: &http.Client{Timeout: progressTimeout, Transport: &http.Transport{}}} // by no proxy
	if port := getenv(ProgressVariable); port != "" {
		p.url = "http://" + net.JoinHostPort("localhost", port) + "/progress"
	}
	return p
}

// Progress is what a run is at.
type Progress struct {
	Message   string   `json:"msg"`
	Total     int      `json:"total"`     // how many checks there are
	Completed int      `json:"completed"` // how many have a verdict
	Failures  []string `json:"failures"`  // the IDs of those that failed
}

// Report posts what the run is at. If nobody takes it, that is noted, and nothing is
// posted any more.
func (p *Plugin) Report(ctx context.Context, at Progress) {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.url == "" {
		return
	}
	if err := p.post(ctx, at); err != nil {
		p.url = ""
		p.note("Sonobuoy is told no progress: " + err.Error())
	}
}

func (p *Plugin) post(ctx context.Context, at Progress) error {
	if at.Failures == nil {
		at.Failures = []string{}
	}
	body, err := json.Marshal(at)
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, p.url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := p.client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("posting to %s: %s", p.url, response.Status)
	}
	return nil
}

// HandOver writes results, a gzip'd tar that pack makes, and then says that they are
// there. Only the first results count, since by then they are on their way.
func (p *Plugin) HandOver(pack func(io.Writer) error) error {
	if p == nil {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.handed {
		return nil
	}
	dir, err := filepath.Abs(p.dir)
	if err == nil {
		err = os.MkdirAll(dir, 0o755)
	}
	results := filepath.Join(dir, archive)
	if err == nil {
		err = replace(results, pack)
	}
	if err == nil {
		err = replace(filepath.Join(dir, done), func(w io.Writer) error {
			_, err := io.WriteString(w, results) // without an end of line, which older Sonobuoys take for a part of it
			return err
		})
	}
	if err != nil {
		return fmt.Errorf("handing the results over to Sonobuoy: %w (see that the volume results is mounted at %s and can be written)", err, p.dir)
	}
	p.handed = true
	return nil
}

// Handed reports whether results were handed over.
func (p *Plugin) Handed() bool {
	if p == nil {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.handed
}

// replace writes a file under another name first: Sonobuoy reads it as soon as it is
// there, and another user must be able to.
func replace(file string, write func(io.Writer) error) error {
	f, err := os.Create(file + ".unfinished")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // gone by then, if all went well
	err = write(f)
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return err
	}
	return os.Rename(f.Name(), file)
}
