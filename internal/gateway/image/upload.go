package image

import (
	"context"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"hash"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/tidwall/gjson"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/gateway"
	"github.com/tricircle/tricircle/internal/identity"
	"github.com/tricircle/tricircle/internal/pod"
)

const (
	// chunk is what an upload holds in memory, beside the connections' buffers.
	chunk = 256 << 10
	// patience is how long an upload waits for the slowest pod to take more.
	patience = 10 * time.Minute
)

var errStopped = errors.New("the upload was stopped")

// upload streams the data once to all copies that lack it, at the pace of the
// slowest. If one pod fails, all are stopped short of the end, and Glance puts
// their copies back to "queued": the client may try again. A pod that had already
// taken everything keeps it; the next try then goes to the others only, and must
// bring the same data.
func (a *api) upload(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	id := r.Param("id")
	holders, err := a.holders(ctx, by, id)
	if err != nil {
		return nil, err
	}
	answers, err := a.Dispatch.All(ctx, holders, pod.Request{
		Service: pod.Image, Method: http.MethodGet, Path: "/images/" + url.PathEscape(id), As: &by, Op: "show image",
	})
	if err != nil {
		return nil, err
	}
	var lacking []string
	sum := checksum{}
	for _, answer := range answers {
		if answer.Err != nil {
			return nil, answer.Err
		}
		if gjson.GetBytes(answer.Body, "status").String() != "active" {
			lacking = append(lacking, answer.Pod)
			continue
		}
		sum.expect(answer.Pod, answer.Body)
	}
	if len(lacking) == 0 {
		return a.forward(ctx, by, r, holders[0]) // Glance says why this cannot be
	}
	return a.fan(ctx, by, r, lacking, sum)
}

// fan sends the body to the pods.
func (a *api) fan(ctx context.Context, by identity.Caller, r *gateway.Request, names []string, sum checksum) (*gateway.Reply, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(errStopped)
	type outcome struct {
		at    int
		reply *gateway.Reply
		err   error
	}
	outcomes := make(chan outcome, len(names))
	pipes := make([]*io.PipeWriter, len(names))
	for i, name := range names {
		body, pipe := io.Pipe()
		pipes[i] = pipe
		go func() {
			reply, err := a.send(ctx, by, r, name, body)
			// Whatever the pod left unread, the others must not wait for it.
			_ = body.CloseWithError(errStopped)
			if err != nil || reply.Status >= 300 {
				cancel(errStopped)
			}
			outcomes <- outcome{i, reply, err}
		}()
	}
	bodyErr := pump(pipes, r.Body, sum)
	replies, errs := make([]*gateway.Reply, len(names)), make([]error, len(names))
	for range names {
		o := <-outcomes
		replies[o.at], errs[o.at] = o.reply, o.err
	}
	return settle(replies, errs, bodyErr)
}

// settle makes one answer of all. A pod's refusal says more than the errors of
// those that were stopped because of it.
func settle(replies []*gateway.Reply, errs []error, bodyErr error) (*gateway.Reply, error) {
	var good, bad *gateway.Reply
	for _, reply := range replies {
		switch {
		case reply == nil:
		case reply.Status >= 300:
			bad = reply
		default:
			good = reply
		}
	}
	if bodyErr != nil && !errors.Is(bodyErr, errStopped) {
		return nil, bodyErr
	}
	if bad != nil {
		return bad, nil
	}
	if err := failure(errs, errStopped); err != nil {
		return nil, err
	}
	return good, nil
}

func (a *api) send(ctx context.Context, by identity.Caller, r *gateway.Request, name string, body io.Reader) (*gateway.Reply, error) {
	client, err := a.Dispatch.Client(ctx, name)
	if err != nil {
		return nil, err
	}
	resp, err := client.Do(ctx, pod.Request{
		Service: pod.Image, Method: r.Method, Path: r.Path(), RawQuery: r.URL.RawQuery, Header: gateway.PassHeader(r.Header),
		Body: body, Length: max(r.ContentLength, 0), As: &by, Timeout: patience, Op: "upload image",
	})
	if err != nil {
		if cause := context.Cause(ctx); errors.Is(cause, errStopped) {
			return nil, errors.Join(cause, err)
		}
		return nil, err
	}
	defer resp.Body.Close()
	if err := gateway.Broken(r, resp, name); err != nil {
		return nil, err
	}
	reply := gateway.ReplyOf(r, resp, name, r.Path())
	text, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	if err != nil {
		return nil, &fault.Error{Kind: fault.Unavailable, Pod: name, Message: "cannot upload image: its answer broke off", Err: err}
	}
	if len(text) > 0 {
		reply.Body = text
	}
	return reply, nil
}

// pump copies the body into all pipes, chunk by chunk, so that the slowest sets
// the pace. The end is told to all, or an error to all.
func pump(pipes []*io.PipeWriter, body io.Reader, sum checksum) error {
	err := copyAll(pipes, body, sum)
	for _, pipe := range pipes {
		_ = pipe.CloseWithError(err) // nil is the end of the body; never fails
	}
	return err
}

// copyAll holds the last piece back until it has seen the end and the sum: a pod
// that was told the length takes the image for whole with its last byte.
func copyAll(pipes []*io.PipeWriter, body io.Reader, sum checksum) error {
	buf, next := make([]byte, chunk), make([]byte, chunk)
	held := 0 // bytes of buf
	for {
		n, err := body.Read(next)
		if sum.hash != nil {
			sum.hash.Write(next[:n])
		}
		if n > 0 {
			if err := writeAll(pipes, buf[:held]); err != nil {
				return err
			}
			buf, next, held = next, buf, n
		}
		switch {
		case errors.Is(err, io.EOF):
			if err := sum.check(); err != nil {
				return err
			}
			return writeAll(pipes, buf[:held])
		case err != nil:
			return &fault.Error{Kind: fault.Invalid, Message: "the upload broke off", Err: err}
		}
	}
}

func writeAll(pipes []*io.PipeWriter, p []byte) error {
	if len(p) == 0 {
		return nil
	}
	for _, pipe := range pipes {
		if _, err := pipe.Write(p); err != nil {
			return errStopped
		}
	}
	return nil
}

// checksum compares an upload with what a pod has already.
type checksum struct {
	hash hash.Hash
	want string
	pod  string
}

func (c *checksum) expect(podName string, image []byte) {
	makers := map[string]func() hash.Hash{
		"md5": md5.New, "sha1": sha1.New, "sha256": sha256.New, "sha384": sha512.New384, "sha512": sha512.New,
	}
	want := gjson.GetBytes(image, "os_hash_value").String()
	maker := makers[gjson.GetBytes(image, "os_hash_algo").String()]
	if maker != nil && want != "" {
		c.hash, c.want, c.pod = maker(), want, podName
	}
}

func (c *checksum) check() error {
	if c.hash == nil || hex.EncodeToString(c.hash.Sum(nil)) == c.want {
		return nil
	}
	return fault.New(fault.Conflict, "", "pod %s has other data for this image already", c.pod)
}
