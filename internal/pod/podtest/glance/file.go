package glance

import (
	"bytes"
	"crypto/md5"
	"crypto/sha512"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"strings"

	"github.com/tricircle/tricircle/internal/pod/podtest/rest"
)

// keep is up to which size an image's data is in memory; larger data is in a file
// that has no name.
const keep = 1 << 20

// content is an image's data.
type content struct {
	size           int64
	md5, sha512hex string
	data           []byte
	file           *os.File // instead of data, when that is too large
}

// from is the data from the offset on, at most n bytes.
func (c content) from(offset, n int64) io.Reader {
	if c.file != nil {
		return io.NewSectionReader(c.file, offset, n)
	}
	return bytes.NewReader(c.data[offset : offset+n])
}

func digest(in io.Reader) (content, error) {
	var c content
	short, long := md5.New(), sha512.New()
	to := &spool{}
	n, err := io.Copy(io.MultiWriter(short, long, to), in)
	if err != nil {
		return c, err
	}
	return content{size: n, md5: hex.EncodeToString(short.Sum(nil)), sha512hex: hex.EncodeToString(long.Sum(nil)),
		data: to.head, file: to.file}, nil
}

// spool keeps what is written to it.
type spool struct {
	head []byte
	file *os.File
}

func (s *spool) Write(p []byte) (int, error) {
	if s.file == nil && len(s.head)+len(p) <= keep {
		s.head = append(s.head, p...)
		return len(p), nil
	}
	if s.file == nil {
		f, err := os.CreateTemp("", "podtest-image-")
		if err != nil {
			return 0, err
		}
		if err := os.Remove(f.Name()); err != nil {
			return 0, err
		}
		if _, err := f.Write(s.head); err != nil {
			return 0, err
		}
		s.file, s.head = f, nil
	}
	return s.file.Write(p)
}

func (i *image) store(c content) {
	i.content, i.size = c, c.size
	i.doc["size"], i.doc["virtual_size"], i.doc["status"] = c.size, c.size, "active"
	i.doc["checksum"], i.doc["os_hash_algo"], i.doc["os_hash_value"] = c.md5, "sha512", c.sha512hex
}

// upload reads without the lock: it may take long.
func (s *Server) upload(r *rest.Request) (*rest.Reply, error) {
	return s.take(r, "saving", func(i *image, c content) { i.store(c) })
}

// stage takes data that an import will use.
func (s *Server) stage(r *rest.Request) (*rest.Reply, error) {
	return s.take(r, "uploading", func(i *image, c content) { i.staged, i.doc["size"] = c, c.size })
}

func (s *Server) take(r *rest.Request, status string, keep func(*image, content)) (*rest.Reply, error) {
	if kind := r.Request.Header.Get("Content-Type"); kind != "application/octet-stream" {
		return nil, fail(http.StatusUnsupportedMediaType, "The request media type %s is not supported by this server.", kind)
	}
	if err := s.startUpload(r, status); err != nil {
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
	keep(i, c)
	i.doc["updated_at"] = s.stamp()
	return rest.NoContent()
}

func (s *Server) startUpload(r *rest.Request, status string) error {
	s.Mu.Lock()
	defer s.Mu.Unlock()
	i, err := s.own(r, "upload_image")
	if err != nil {
		return err
	}
	if i.doc["status"] != "queued" {
		return fail(http.StatusConflict, "Image status transition from %s to %s is not allowed", i.doc["status"], status)
	}
	if status == "saving" && (i.doc["disk_format"] == nil || i.doc["container_format"] == nil) {
		return badRequest("Properties disk_format, container_format must be set prior to saving data.")
	}
	i.doc["status"] = status
	return nil
}

// download gives the data, or the part of it that Range asks for. An admin gets that
// of a deactivated image too.
func (s *Server) download(r *rest.Request) (*rest.Reply, error) {
	i, err := s.find(r)
	if err != nil {
		return nil, err
	}
	switch status := i.doc["status"]; {
	case status == "deactivated" && !r.Caller.Admin():
		return nil, fail(http.StatusForbidden, "The requested image has been deactivated. Image data download is forbidden.")
	case status != "active" && status != "deactivated":
		return rest.NoContent()
	}
	from, to, err := span(r.Request.Header.Get("Range"), i.size)
	if err != nil {
		return nil, err
	}
	header := http.Header{"Content-Md5": {rest.Str(i.doc, "checksum")}, "Content-Length": {strconv.FormatInt(to-from, 10)}}
	reply := &rest.Reply{Status: http.StatusOK, Type: "application/octet-stream", Header: header}
	if r.Request.Header.Get("Range") != "" {
		reply.Status = http.StatusPartialContent
		header.Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, to-1, i.size))
	}
	data := i.content
	reply.Stream = func(w io.Writer) error {
		_, err := io.Copy(w, data.from(from, to-from))
		return err
	}
	return reply, nil
}

var oneSpan = regexp.MustCompile(`^bytes=(\d*)-(\d*)$`)

// span reads a Range header as Glance does: one range only, its end is cut to the
// image's.
func span(header string, size int64) (from, to int64, err error) {
	if header == "" {
		return 0, size, nil
	}
	if strings.Contains(header, ",") {
		return 0, 0, badRequest("Requests with multiple ranges are not supported in Glance. You may make multiple single-range requests instead.")
	}
	m := oneSpan.FindStringSubmatch(header)
	if m == nil || m[1] == "" && m[2] == "" {
		return 0, 0, fail(http.StatusRequestedRangeNotSatisfiable, "Invalid Range header.")
	}
	first, _ := strconv.ParseInt(m[1], 10, 64)
	last, _ := strconv.ParseInt(m[2], 10, 64)
	switch {
	case m[1] == "":
		return max(size-last, 0), size, nil
	case first >= size:
		return 0, 0, fail(http.StatusRequestedRangeNotSatisfiable, "Invalid start position in Range header. Start position MUST be in the inclusive range [0, %d].", size-1)
	case m[2] == "":
		return first, size, nil
	}
	return first, min(last+1, size), nil
}
