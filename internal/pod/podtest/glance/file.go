package glance

import (
	"bytes"
	"crypto/md5"
	"crypto/sha512"
	"encoding/hex"
	"hash/fnv"
	"io"
	"math/rand/v2"
	"net/http"

	"github.com/tricircle/tricircle/internal/pod/podtest/rest"
)

// keep is up to which size an image's data is kept. Larger data is thrown away
// when its sums are known, and downloads give as many other bytes.
const keep = 1 << 20

// content is what is known of uploaded data.
type content struct {
	size           int64
	md5, sha512hex string
	data           []byte // nil when too large
}

func digest(in io.Reader) (content, error) {
	var c content
	short, long := md5.New(), sha512.New()
	head := &bytes.Buffer{}
	n, err := io.Copy(io.MultiWriter(short, long, &limited{head, keep}), in)
	if err != nil {
		return c, err
	}
	c = content{size: n, md5: hex.EncodeToString(short.Sum(nil)), sha512hex: hex.EncodeToString(long.Sum(nil))}
	if n <= keep {
		c.data = head.Bytes()
	}
	return c, nil
}

// limited takes the first n bytes and ignores the rest.
type limited struct {
	to io.Writer
	n  int
}

func (l *limited) Write(p []byte) (int, error) {
	part := p[:min(len(p), l.n)]
	l.n -= len(part)
	if _, err := l.to.Write(part); err != nil {
		return 0, err
	}
	return len(p), nil
}

func (i *image) store(c content) {
	i.data, i.size = c.data, c.size
	i.doc["size"], i.doc["virtual_size"], i.doc["status"] = c.size, c.size, "active"
	i.doc["checksum"], i.doc["os_hash_algo"], i.doc["os_hash_value"] = c.md5, "sha512", c.sha512hex
}

// upload reads without the lock: it may take long.
func (s *Server) upload(r *rest.Request) (*rest.Reply, error) {
	if kind := r.Request.Header.Get("Content-Type"); kind != "application/octet-stream" {
		return nil, fail(http.StatusUnsupportedMediaType, "The request media type %s is not supported by this server.", kind)
	}
	if err := s.startUpload(r); err != nil {
		return nil, err
	}
	c, err := digest(r.Body)
	s.Mu.Lock()
	defer s.Mu.Unlock()
	i, findErr := s.find(r)
	if findErr != nil {
		return nil, fail(http.StatusGone, "Image %s could not be found after upload. The image may have been deleted during the upload.", r.Param("id"))
	}
	if err != nil {
		i.doc["status"] = "queued" // so that the client may try again
		return nil, badRequest("Client disconnected before sending all data to backend")
	}
	i.store(c)
	i.doc["updated_at"] = s.stamp()
	return rest.NoContent()
}

func (s *Server) startUpload(r *rest.Request) error {
	s.Mu.Lock()
	defer s.Mu.Unlock()
	i, err := s.own(r, "upload_image")
	if err != nil {
		return err
	}
	if i.doc["status"] != "queued" {
		return fail(http.StatusConflict, "Image status transition from %s to saving is not allowed", i.doc["status"])
	}
	if i.doc["disk_format"] == nil || i.doc["container_format"] == nil {
		return badRequest("Properties disk_format, container_format must be set prior to saving data.")
	}
	i.doc["status"] = "saving"
	return nil
}

func (s *Server) download(r *rest.Request) (*rest.Reply, error) {
	i, err := s.find(r)
	if err != nil {
		return nil, err
	}
	switch i.doc["status"] {
	case "active":
	case "deactivated":
		return nil, fail(http.StatusForbidden, "The requested image has been deactivated. Image data download is forbidden.")
	default:
		return rest.NoContent()
	}
	header := http.Header{"Content-Md5": {rest.Str(i.doc, "checksum")}}
	if i.data != nil {
		return &rest.Reply{Status: http.StatusOK, Type: "application/octet-stream", Raw: i.data, Header: header}, nil
	}
	sum := fnv.New64a()
	_, _ = sum.Write([]byte(i.id()))
	var seed [32]byte
	copy(seed[:], sum.Sum(nil))
	size := i.size
	return &rest.Reply{Status: http.StatusOK, Type: "application/octet-stream", Header: header, Stream: func(w io.Writer) error {
		_, err := io.CopyN(w, rand.NewChaCha8(seed), size)
		return err
	}}, nil
}
