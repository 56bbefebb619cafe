package reports

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// tab is a page in a browser, and what it complained of or asked the network for.
type tab struct {
	context.Context

	mu         sync.Mutex
	complaints []string
	requests   []string
}

// openTab starts a headless Chromium, if there is one.
func openTab(t testing.TB) *tab {
	t.Helper()
	path := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "chrome"} {
		if p, err := exec.LookPath(name); err == nil && path == "" {
			path = p
		}
	}
	if path == "" {
		t.Skip("no chromium on the PATH: `apt-get install chromium` lets this test run")
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox)
	ctx, cancel := chromedp.NewExecAllocator(t.Context(), options...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	ctx, cancel = context.WithTimeout(ctx, 2*time.Minute)
	t.Cleanup(cancel)
	b := &tab{Context: ctx}
	require.NoError(t, chromedp.Listen(ctx, func(event any) {
		b.mu.Lock()
		defer b.mu.Unlock()
		switch e := event.(type) {
		case *log.EventEntryAdded:
			b.complaints = append(b.complaints, e.Entry.Text)
		case *runtime.EventExceptionThrown:
			b.complaints = append(b.complaints, e.ExceptionDetails.Text)
		case *runtime.EventConsoleAPICalled:
			b.complaints = append(b.complaints, fmt.Sprint("console: ", e.Args))
		case *network.EventRequestWillBeSent:
			b.requests = append(b.requests, e.Request.URL)
		}
	}))
	call(t, b, network.Enable, network.EnableParams{})
	call(t, b, log.Enable, cdp.Empty{})
	return b
}

// call runs a command of the browser's protocol.
func call[P, R any](t testing.TB, b *tab, command cdp.Command[P, R], params P) {
	t.Helper()
	_, err := chromedp.Call(b.Context, command, params)
	require.NoError(t, err)
}

// look runs what gives a value.
func look[T any](t testing.TB, b *tab, action chromedp.Action[T]) T {
	t.Helper()
	v, err := chromedp.Run(b.Context, action)
	require.NoError(t, err)
	return v
}

func (b *tab) do(t testing.TB, steps ...chromedp.Action[chromedp.Void]) {
	t.Helper()
	require.NoError(t, chromedp.Do(b.Context, steps...))
}

// show opens a report at a width in pixels and in a colour scheme.
func (b *tab) show(t testing.TB, r Report, width int64, scheme string) string {
	t.Helper()
	data, err := HTML(r)
	require.NoError(t, err)
	return b.showPage(t, data, width, scheme)
}

// showPage is show for a page that is rendered already.
func (b *tab) showPage(t testing.TB, page []byte, width int64, scheme string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), HTMLFile)
	require.NoError(t, os.WriteFile(file, page, 0o600))
	call(t, b, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}})
	b.do(t, chromedp.EmulateViewport(width, 900), chromedp.Navigate("file://"+file))
	return file
}

// ask evaluates an expression in the page.
func ask[T any](t testing.TB, b *tab, expression string) T {
	t.Helper()
	return look(t, b, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
}

// pages are those that a browser is shown: of the samples, recorded reports, a hostile one,
// an empty one, and of fleets.
func pages(t *testing.T) map[string][]byte {
	t.Helper()
	all := recorded(t)
	all["hostile"], all["nothing"] = hostileReport(), Report{}
	for name, sample := range samples {
		all[name] = sample()
	}
	rendered := map[string][]byte{}
	for name, r := range all {
		page, err := HTML(r)
		require.NoError(t, err)
		rendered[name] = page
	}
	for name, f := range map[string]Fleet{"fleet": fleet(), "fleet-hostile": hostileFleet(), "fleet-of-none": FleetOf(Fleet{}, nil)} {
		page, err := f.HTML()
		require.NoError(t, err)
		rendered[name] = page
	}
	return rendered
}

// css tells what is to be found: a CSS selector.
func css(s string) chromedp.CSS { return chromedp.CSS(s) }

var widths = []struct {
	pixels int64
	scheme string
}{{390, "light"}, {390, "dark"}, {1280, "light"}, {1280, "dark"}}

// TestPageInABrowser opens each page on a phone and on a desk, in both schemes: it
// must complain of nothing, ask for nothing, and need no scrolling sideways. SHOTS
// names a directory for screenshots to look at.
func TestPageInABrowser(t *testing.T) {
	b := openTab(t)
	for name, page := range pages(t) {
		for _, w := range widths {
			file := b.showPage(t, page, w.pixels, w.scheme)
			id := fmt.Sprintf("%s-%d-%s", name, w.pixels, w.scheme)
			assert.LessOrEqual(t, ask[int](t, b, "document.documentElement.scrollWidth"), int(w.pixels), "%s scrolls sideways", id)
			assert.Equal(t, []string{"file://" + file}, b.requests, "%s asks for more than itself", id)
			assert.Empty(t, b.complaints, id)
			assert.Empty(t, ask[[]string](t, b, `(() => {
				const ids = [...document.querySelectorAll('[id]')].map(e => e.id);
				return ids.filter((id, i) => ids.indexOf(id) !== i);
			})()`), "%s has an id twice", id)
			assert.Empty(t, ask[[]string](t, b, `[...document.querySelectorAll('a[href^="#"]')].map(a => a.getAttribute('href').slice(1)).filter(id => !document.getElementById(decodeURIComponent(id)))`), "%s has a link to nowhere", id)
			if dir := os.Getenv("SHOTS"); dir != "" {
				png := look(t, b, chromedp.FullScreenshot(100))
				require.NoError(t, os.WriteFile(filepath.Join(dir, id+".png"), png, 0o600))
			}
			b.mu.Lock()
			b.requests, b.complaints = nil, nil
			b.mu.Unlock()
		}
	}
}

// axeViolations asks axe-core for what it finds, each with the first elements concerned.
const axeViolations = `axe.run(document).then(r => r.violations.map(v => ({id: v.id, help: v.help, nodes: v.nodes.slice(0, 3).map(n => n.html)})))`

// TestPageIsAccessible runs axe-core over each page with everything expanded.
func TestPageIsAccessible(t *testing.T) {
	path := os.Getenv("AXE")
	if path == "" {
		t.Skip("AXE does not name axe.min.js: `npm pack axe-core` has it")
	}
	axe, err := os.ReadFile(path)
	require.NoError(t, err)
	b := openTab(t)
	for name, page := range pages(t) {
		for _, w := range widths {
			b.showPage(t, page, w.pixels, w.scheme)
			ask[int](t, b, "document.querySelectorAll('details').forEach(d => { d.open = true }), 0")
			ask[int](t, b, string(axe)+";0")
			found := ask[json.RawMessage](t, b, axeViolations)
			assert.JSONEq(t, "[]", string(found), "%s at %d, %s", name, w.pixels, w.scheme)
		}
	}
	ask[int](t, b, "document.querySelector('main').append(document.createElement('img')), 0")
	assert.Contains(t, string(ask[json.RawMessage](t, b, axeViolations)), "image-alt", "it must be able to fail")
}

func TestPageWithoutAScript(t *testing.T) {
	b := openTab(t)
	call(t, b, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
	b.show(t, failing(), 390, "light")
	// The protocol still evaluates; what it finds the page's own script did not do.
	assert.True(t, ask[bool](t, b, "document.getElementById('controls').hidden"), "what would do nothing is not shown")
	assert.Equal(t, 5, ask[int](t, b, "[...document.querySelectorAll('.check')].filter(c => c.offsetHeight > 0).length"))
	assert.Contains(t, ask[string](t, b, "document.querySelector('#targets-up').innerText"), "ServiceMonitor bookinfo/productpage: set spec.endpoints[0]")
	assert.Equal(t, false, ask[bool](t, b, "document.querySelector('#targets-up details').open"))
	b.do(t, chromedp.Click(css("#targets-up summary")))
	assert.Equal(t, true, ask[bool](t, b, "document.querySelector('#targets-up details').open"))
}

func TestPageWithItsScript(t *testing.T) {
	b := openTab(t)
	b.show(t, failing(), 1280, "dark")
	shown := func() []string {
		return ask[[]string](t, b, "[...document.querySelectorAll('.check')].filter(c => c.offsetHeight > 0).map(c => c.id)")
	}
	said := func() string { return ask[string](t, b, "document.getElementById('shown').textContent") }
	require.Len(t, shown(), 5)

	b.do(t, chromedp.SendKeys(css("#filter"), "CONNECTION reset"))
	assert.Equal(t, []string{"targets-up"}, shown(), "evidence is searched as well, in any case")
	assert.Equal(t, "1 of 5 checks", said())
	assert.Equal(t, 1, ask[int](t, b, "[...document.querySelectorAll('.group')].filter(g => g.offsetHeight > 0).length"), "no heading without a check")
	b.do(t, chromedp.Click(css(`.look a[href="#scraper-certificate-rotated"]`)), chromedp.WaitVisible(css("#scraper-certificate-rotated")))
	assert.Equal(t, "5 checks", said(), "a link leads to its check whatever is filtered")
	b.do(t, chromedp.Click(css(`input[value="fail"]`)), chromedp.Click(css(`input[value="inconclusive"]`)))
	assert.Equal(t, []string{"prometheus-sidecar-injected", "secure-metrics-ports"}, shown())

	open := "document.querySelectorAll('details[open]').length"
	all := ask[int](t, b, "document.querySelectorAll('details').length")
	b.do(t, chromedp.Focus(css("#expand")), chromedp.KeyEvent("\r"))
	assert.Equal(t, all, ask[int](t, b, open))
	assert.Equal(t, "Collapse all", ask[string](t, b, "document.getElementById('expand').textContent"))
	b.do(t, chromedp.Click(css("#expand")))
	assert.Zero(t, ask[int](t, b, open))
}

// TestPageByKeyboard goes through the page with the tab key alone.
func TestPageByKeyboard(t *testing.T) {
	b := openTab(t)
	b.show(t, failing(), 1280, "light")
	b.do(t, chromedp.KeyEvent("\t"))
	assert.Equal(t, "Skip to the report", ask[string](t, b, "document.activeElement.textContent"))
	seen := map[string]bool{}
	for range 80 {
		b.do(t, chromedp.KeyEvent("\t"))
		seen[ask[string](t, b, "document.activeElement.id || document.activeElement.tagName + ' ' + document.activeElement.textContent.trim().slice(0, 40)")] = true
		outline := ask[string](t, b, "document.activeElement === document.body ? 'solid' : getComputedStyle(document.activeElement).outlineStyle")
		assert.NotEqual(t, "none", outline, "where the focus is must be seen")
	}
	for _, want := range []string{"filter", "expand", "SUMMARY Evidence (2) of targets-up"} {
		assert.True(t, seen[want], "%s cannot be reached; reached: %v", want, seen)
	}
}

// TestPagePrints makes sure that paper shows what is folded away on a screen.
func TestPagePrints(t *testing.T) {
	b := openTab(t)
	b.show(t, failing(), 1280, "dark")
	pdf := look(t, b, chromedp.PrintToPDF(chromedp.PDFPrintBackground()))
	assert.True(t, strings.HasPrefix(string(pdf), "%PDF-"))
	call(t, b, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Media: "print"})
	assert.True(t, ask[bool](t, b, "document.querySelector('#targets-up .evidence').checkVisibility({contentVisibilityAuto: true}) && document.querySelector('#targets-up .evidence').offsetHeight > 0"))
	assert.Equal(t, "rgb(255, 255, 255)", ask[string](t, b, "getComputedStyle(document.body).backgroundColor"), "paper is white in any scheme")
	if dir := os.Getenv("SHOTS"); dir != "" {
		require.NoError(t, os.WriteFile(filepath.Join(dir, "failing.pdf"), pdf, 0o600))
	}
}

// BenchmarkOpenPageOfManyTargets measures how long a browser takes from being told
// the file to having laid out the page of 10,000 targets.
func BenchmarkOpenPageOfManyTargets(b *testing.B) {
	r := manyTargets(10000)
	browser := openTab(b)
	for b.Loop() {
		browser.show(b, r, 1280, "light")
	}
	b.ReportMetric(ask[float64](b, browser, "performance.getEntriesByType('navigation')[0].loadEventEnd"), "ms/load")
	b.ReportMetric(ask[float64](b, browser, "performance.getEntriesByType('paint').find(p => p.name === 'first-contentful-paint')?.startTime ?? -1"), "ms/first-paint")
	b.ReportMetric(ask[float64](b, browser, "(() => { const t = performance.now(); document.querySelectorAll('details').forEach(d => { d.open = true }); document.body.offsetHeight; return performance.now() - t })()"), "ms/expand-all")
	if dir := os.Getenv("SHOTS"); dir != "" {
		browser.show(b, r, 390, "light")
		require.NoError(b, os.WriteFile(filepath.Join(dir, "many-390-light.png"), look(b, browser, chromedp.Screenshot(css("#timeline + p + .plot"))), 0o600))
	}
}
