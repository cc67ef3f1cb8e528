package secret

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/iotest"

	"pgregory.net/rapid"

	"sallyport/internal/escape"
	"sallyport/proto"
)

// probe sends a request whose answer is to be masked.
func probe(t *testing.T, value string, resp *http.Response, err error) (*http.Response, error) {
	t.Helper()
	req := request(t, "POST", "https://erp.test/in", mark, line(proto.FillInBody, escape.None))
	req.Header.Set(proto.HeaderMask, "p")
	return storeOf(t, value).Wrap(&answering{answer: func(r *http.Request) (*http.Response, error) {
		if resp != nil {
			resp.Request = r
		}
		return resp, err
	}}).RoundTrip(req)
}

func TestEchoesAreMasked(t *testing.T) {
	wide := func(s string) string { return wide(s, binary.LittleEndian) }
	for name, echo := range map[string]string{
		"as it is":            awkward,
		"JSON":                `{"echo":"pä\"ss<wo>rd&'\\ 1+%,x"}`,
		"JSON of ASCII":       `{"echo":"p\u00e4\"ss<wo>rd&'\\ 1+%,x"}`,
		"JSON within JSON":    `{"echo":"{\"p\":\"pä\\\"ss<wo>rd&'\\\\ 1+%,x\"}"}`,
		"form":                "p=" + url.QueryEscape(awkward),
		"form in lower case":  "p=" + strings.ToLower(url.QueryEscape(awkward)),
		"path":                "/" + url.PathEscape(awkward) + "/",
		"XML":                 `<p a="pä&quot;ss&lt;wo&gt;rd&amp;&apos;\ 1+%,x"/>`,
		"base64":              base64.StdEncoding.EncodeToString([]byte(awkward)),
		"Basic credentials":   "Basic " + base64.StdEncoding.EncodeToString([]byte("svc:"+awkward)),
		"longer credentials":  base64.URLEncoding.EncodeToString([]byte("service-7:" + awkward + ":z")),
		"UTF-16":              wide("<p>" + awkward + "</p>"),
		"many times":          strings.Repeat(awkward, 3000),
		"at a distance":       strings.Repeat("x", 100<<10) + awkward + strings.Repeat("y", 100<<10),
		"at the edge of read": strings.Repeat("x", maskingRead-3) + awkward,
	} {
		t.Run(name, func(t *testing.T) {
			resp, err := probe(t, awkward, answer(200, http.Header{"X-Echo": {echo}, "Content-Length": {"7"}}, echo), nil)
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(resp.Body)
			if err != nil {
				t.Fatal(err)
			}
			_ = resp.Body.Close()
			for where, text := range map[string]string{"body": string(body), "header": resp.Header.Get("X-Echo")} {
				if strings.Contains(text, "<wo>rd") || strings.Contains(text, awkward) || !strings.Contains(text, hidden) {
					t.Errorf("%s: %.200q", where, text)
				}
				if strings.HasPrefix(echo, "xxx") && !strings.HasPrefix(text, "xxx") {
					t.Errorf("%s: what stands around is gone: %.50q", where, text)
				}
			}
			if resp.ContentLength != -1 || resp.Header.Get("Content-Length") != "" {
				t.Error("the length is that of before")
			}
		})
	}
}

func TestCompressedEchoesAreMasked(t *testing.T) {
	pack := func(w io.WriteCloser, buf *bytes.Buffer) string {
		_, _ = io.WriteString(w, "echo "+awkward+" end")
		_ = w.Close()
		return buf.String()
	}
	var zipped, flat bytes.Buffer
	for encoding, test := range map[string]struct{ body, want string }{
		"gzip":    {pack(gzip.NewWriter(&zipped), &zipped), "echo *** end"},
		"deflate": {pack(zlib.NewWriter(&flat), &flat), "echo *** end"},
		"br":      {"\x0b\x02\x80" + awkward, ""}, // can't be looked into, so it is left out
	} {
		resp, err := probe(t, awkward, answer(200, http.Header{"Content-Encoding": {encoding}}, test.body), nil)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if err != nil || string(body) != test.want || resp.Header.Get("Content-Encoding") != "" {
			t.Errorf("%s: %q, %v, %v", encoding, body, resp.Header, err)
		}
	}
}

func TestCookieWithASecretIsNotPassedOn(t *testing.T) {
	for _, cookie := range []string{"remember=" + url.QueryEscape(awkward), "auth=" + base64.StdEncoding.EncodeToString([]byte("svc:"+awkward))} {
		_, err := probe(t, awkward, answer(200, http.Header{"Set-Cookie": {"SID=1", cookie}}, "ok"), nil)
		e := wantError(t, err, proto.CodeSecretUnavailable, proto.ReasonSecretEchoed, awkward)
		if e.Outcome != proto.OutcomeSent || !strings.Contains(e.Detail, " p ") {
			t.Errorf("%+v", e)
		}
	}
	resp, err := probe(t, awkward, answer(200, http.Header{"Set-Cookie": {"SID=abc; Path=/"}}, "ok"), nil)
	if err != nil || resp.Header.Get("Set-Cookie") != "SID=abc; Path=/" {
		t.Errorf("%v, %v", resp, err)
	}
	_ = resp.Body.Close()
}

func TestErrorsAreMasked(t *testing.T) {
	_, err := probe(t, "hunter2!", nil, &proto.Error{Code: proto.CodeTargetUnreachable, Detail: "It said hunter2!.", Hint: "Try hunter2%21.",
		Facts: map[string]string{"location": "https://x/?p=hunter2%21", "address": "10.0.0.1:80"}})
	e := proto.AsError(err)
	if e == nil || e.Detail != "It said ***." || strings.Contains(e.Hint+e.Facts["location"], "hunter2") || e.Facts["address"] != "10.0.0.1:80" {
		t.Errorf("%+v", e)
	}
	broken := errors.New("plain")
	if _, err := probe(t, "hunter2!", nil, broken); err != broken {
		t.Error(err)
	}
}

// The answer to a caller's own request is none of the agent's business, and
// streams through.
func TestOtherAnswersAreLeftAlone(t *testing.T) {
	body := "echo hunter2!"
	req := request(t, "POST", "https://erp.test/in", mark, line(proto.FillInBody, escape.None))
	resp, err := storeOf(t, "hunter2!").Wrap(&answering{answer: func(r *http.Request) (*http.Response, error) { return answer(200, nil, body), nil }}).RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if got, _ := io.ReadAll(resp.Body); string(got) != body || resp.ContentLength != int64(len(body)) {
		t.Errorf("%q", got)
	}
}

// A relay that guesses must not learn from the masking whether it was right,
// where it could not send the secret itself.
func TestSecretsOfOtherHostsAreNotLookedFor(t *testing.T) {
	req := request(t, "GET", "https://evil.test/", "")
	req.Header.Set(proto.HeaderMask, "p")
	req.Header.Add(proto.HeaderMask, "unknown")
	resp, err := storeOf(t, "hunter2!", "erp.test").Wrap(&answering{answer: func(r *http.Request) (*http.Response, error) {
		a := answer(200, nil, "hunter2!")
		a.Request = r
		return a, nil
	}}).RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if got, _ := io.ReadAll(resp.Body); string(got) != "hunter2!" {
		t.Errorf("%q", got)
	}
}

// However the body comes in pieces, what goes out is what masking the whole
// would give.
func TestMaskingDoesNotDependOnPieces(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		letters := rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b", "ab", "aba", "c", "abcab"}), 0, 60)
		body := strings.Join(letters.Draw(t, "body"), "")
		needles := rapid.SliceOfN(rapid.StringMatching("[abc]{2,6}"), 1, 4).Draw(t, "needles")
		whole := maskWhole(body, needles)
		for name, r := range map[string]io.Reader{"whole": strings.NewReader(body), "bytes": iotest.OneByteReader(strings.NewReader(body)),
			"halves": iotest.HalfReader(strings.NewReader(body)), "with its end": iotest.DataErrReader(strings.NewReader(body))} {
			got, err := io.ReadAll(newMasking(io.NopCloser(r), needles))
			if err != nil || string(got) != whole {
				t.Fatalf("%s: %q of %q without %q, want %q (%v)", name, got, body, needles, whole, err)
			}
		}
	})
	broken := errors.New("broken")
	got, err := io.ReadAll(newMasking(io.NopCloser(io.MultiReader(strings.NewReader("x secr"), iotest.ErrReader(broken))), []string{"secret"}))
	if err != broken || string(got) != "x secr" {
		t.Errorf("%q, %v", got, err)
	}
}

// maskWhole is masking in the plainest way: mark every byte of every secret.
func maskWhole(s string, needles []string) string {
	var out strings.Builder
	end := 0 // of the stretch
	for i := range len(s) {
		to := 0
		for _, n := range needles {
			if strings.HasPrefix(s[i:], n) {
				to = max(to, i+len(n))
			}
		}
		if to > 0 && i >= end {
			out.WriteString(hidden)
		}
		end = max(end, to)
		if i >= end {
			out.WriteByte(s[i])
		}
	}
	return out.String()
}
