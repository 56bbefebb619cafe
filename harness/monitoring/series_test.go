package monitoring

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestEverySeriesOfAnAnswerIsGiven(t *testing.T) {
	at := func(ms int64, v float64) model.SamplePair {
		return model.SamplePair{Timestamp: model.Time(ms), Value: model.SampleValue(v)}
	}
	for name, c := range map[string]struct {
		answer string
		want   []Series
	}{
		"a vector": {
			`{"status":"success","data":{"resultType":"vector","result":[{"metric":{"job":"a"},"value":[1700000000.5,"1"]},{"metric":{},"value":[1700000000,"NaN"]}]},"warnings":["slow"]}`,
			[]Series{{map[string]string{"job": "a"}, []model.SamplePair{at(1700000000500, 1)}}, {map[string]string{}, nil}},
		},
		"a matrix": {
			`{"data":{"result":[{"metric":{"job":"a"},"values":[[1,"1"],[2,"0"]]}],"resultType":"matrix"},"status":"success"}`,
			[]Series{{map[string]string{"job": "a"}, []model.SamplePair{at(1000, 1), at(2000, 0)}}},
		},
		"nothing": {`{"status":"success","data":{"resultType":"vector","result":[]}}`, nil},
	} {
		t.Run(name, func(t *testing.T) {
			var got []Series
			require.NoError(t, readSeries(strings.NewReader(c.answer), func(s Series) {
				if len(s.Samples) == 1 && math.IsNaN(float64(s.Samples[0].Value)) { // no two of these are equal
					s.Samples = nil
				}
				got = append(got, s)
			}))
			assert.Equal(t, c.want, got)
		})
	}
}

func TestAnAnswerWithoutSeriesIsAnError(t *testing.T) {
	for answer, says := range map[string]string{
		`{"status":"error","errorType":"bad_data","error":"unexpected end of input"}`:                      "unexpected end of input",
		`{"status":"success","data":{"resultType":"scalar","result":[1700000000,"1"]}}`:                    "the answer cannot be read",
		`{"status":"success","data":{"resultType":"vector","result":[{"metric":{"job":"a"},"value":[17000`: "the answer cannot be read",
		`{"status":"success"}`: "the answer has no result",
		`<html>`:               "the answer cannot be read",
	} {
		assert.ErrorContains(t, readSeries(strings.NewReader(answer), func(Series) {}), says, answer)
	}
}

func TestAQueryOfSeriesNamesWhatWasAsked(t *testing.T) {
	r, _ := replica(t, map[string]string{"/api/v1/query?up{": `{"status":"error","error":"parse error"}`})
	err := r.EachSeries(t.Context(), "up{", time.Now(), func(Series) {})
	require.ErrorContains(t, err, "asking Prometheus in pod prometheus-default-0 for the answer to up{: parse error")
}
