package observe

import (
	"crypto/x509"
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// accessLog is what a proxy of the real stack wrote: a refused plain text
// connection, a scrape, and lines of its own.
const accessLog = `2026-11-25T02:03:09.120Z	info	xdsproxy	connected to delta upstream XDS server
{"agent":null,"code":0,"details":"filter_chain_not_found","ends":null,"flags":"NR","local":"10.244.0.6:9080","method":null,"path":null,"peer":null,"remote":"10.244.0.1:42124","serial":null,"time":"1795572190.512","tls":null}
{"agent":"Prometheus/3.16.0","code":200,"details":"via_upstream","ends":"1795572205","flags":"-","local":"10.244.0.6:9080","method":"GET","path":"/metrics","peer":"spiffe://cluster.local/ns/default/sa/prometheus-full-access","remote":"10.244.0.13:43790","serial":"0f8ea6f99050f1d06afd2a65ea6af2a2","time":"1795572191.004","tls":"TLSv1.3"}
not json at all {
{"level":"info","msg":"json, but no access log line"}
`

func TestParseAccessLogReadsRequestsAndSkipsTheRest(t *testing.T) {
	requests, err := ParseAccessLog(strings.NewReader(accessLog))
	require.NoError(t, err)
	require.Len(t, requests, 2)
	refused, scrape := requests[0], requests[1]
	assert.Equal(t, "filter_chain_not_found", refused.Details)
	assert.Empty(t, refused.TLS)
	assert.Equal(t, time.UnixMilli(1795572190512).UTC(), refused.At)
	assert.Equal(t, "f8ea6f99050f1d06afd2a65ea6af2a2", scrape.Serial, "serials are compared without leading zeros")
	assert.Equal(t, time.Unix(1795572205, 0).UTC(), scrape.Ends)
	assert.Empty(t, scrape.Flags, "a dash means nothing")
	assert.Equal(t, 200, scrape.Code)
}

func TestParseCountersKeepsTheInboundListenersTLS(t *testing.T) {
	counters := ParseCounters("listener.0.0.0.0_15006.ssl.fail_verify_no_cert: 5\nlistener.0.0.0.0_15006.ssl.handshake: 2\ncluster.x.ssl.handshake: 9\nlistener.0.0.0.0_15006.ssl.curves: No recorded values\n\n")
	assert.Equal(t, TLS{"fail_verify_no_cert": 5, "handshake": 2}, counters)
}

func TestParseProxyCertificatesReadsLeafAndRoots(t *testing.T) {
	found, err := ParseProxyCertificates([]byte(`{"certificates":[{
		"ca_cert":[{"serial_number":"0c7cdd90","subject_alt_names":[]}],
		"cert_chain":[{"serial_number":"09b4b8","subject_alt_names":[{"uri":"spiffe://cluster.local/ns/default/sa/p"}],"expiration_time":"2026-11-25T02:27:45Z"}]},
		{"ca_cert":[],"cert_chain":[]}]}`))
	require.NoError(t, err)
	assert.Equal(t, []ProxyCertificate{{
		Serial: "9b4b8", URI: "spiffe://cluster.local/ns/default/sa/p",
		NotAfter: time.Date(2026, 11, 25, 2, 27, 45, 0, time.UTC), Roots: []string{"c7cdd90"},
	}}, found)
	_, err = ParseProxyCertificates([]byte("<html>"))
	assert.ErrorContains(t, err, "the proxy's list of certificates")
}

func TestEnvoyVersionIsFoundInItsServerInfo(t *testing.T) {
	assert.Equal(t, "Envoy 1.39.3", envoyVersion(`{"version": "fa9d/1.39.3/Clean/RELEASE/BoringSSL"}`))
	assert.Empty(t, envoyVersion("what?"))
}

func FuzzParseAccessLog(f *testing.F) {
	f.Add(accessLog)
	f.Add(`{"time":1e300,"ends":"NaN"}`)
	f.Fuzz(func(t *testing.T, text string) {
		requests, _ := ParseAccessLog(strings.NewReader(text))
		for _, r := range requests {
			_, err := r.At.MarshalJSON()
			assert.NoError(t, err, "what was read can be written")
		}
	})
}

func TestEveryRootOfTheProxysBundleIsRead(t *testing.T) {
	one, other := newAuthority(t, "one"), newAuthority(t, "other")
	dump := func(bundle []byte) []byte {
		return []byte(`{"configs":[{"name":"ROOTCA","secret":{"name":"ROOTCA","validation_context":{"trusted_ca":{"inline_bytes":"` + base64.StdEncoding.EncodeToString(bundle) + `"}}}}]}`)
	}
	roots, err := ParseProxyRoots(dump(append(one.pem(), other.pem()...)))
	require.NoError(t, err)
	assert.Equal(t, fingerprints([]*x509.Certificate{one.cert, other.cert}), roots)
	for _, bad := range []string{"", "{}", `{"configs":[]}`, `{"configs":[{"secret":{"validation_context":{"trusted_ca":{"inline_bytes":"!"}}}}]}`, string(dump([]byte("no certificate")))} {
		roots, err := ParseProxyRoots([]byte(bad))
		require.Error(t, err, bad)
		assert.Empty(t, roots)
	}
}
