package nova

import (
	"cmp"
	"crypto/md5"
	"encoding/base64"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/tricircle/tricircle/internal/pod/podtest/rest"
)

type keypair struct {
	id                                    int
	user, name, kind, public, fingerprint string
	created                               time.Time
}

func (s *Server) keypair(user, name string) *keypair {
	for _, k := range s.keypairs {
		if k.user == user && k.name == name {
			return k
		}
	}
	return nil
}

// owner is the user whose key pairs are meant: admins may name one since 2.10.
func owner(r *rest.Request, policy string) (string, error) {
	u := r.Query("user_id")
	if u == "" || r.Minor < 10 {
		return r.Caller.UserID, nil
	}
	if u != r.Caller.UserID && !r.Caller.Admin() {
		return "", denied("os_compute_api:os-keypairs:" + policy)
	}
	return u, nil
}

func keypairDoc(r *rest.Request, k *keypair) rest.Doc {
	d := rest.Doc{"name": k.name, "public_key": k.public, "fingerprint": k.fingerprint}
	if r.Minor >= 2 {
		d["type"] = k.kind
	}
	return d
}

func (s *Server) findKeypair(r *rest.Request, policy string) (*keypair, error) {
	user, err := owner(r, policy)
	if err != nil {
		return nil, err
	}
	k := s.keypair(user, r.Param("name"))
	if k == nil {
		return nil, fail(http.StatusNotFound, "Keypair %s not found for user %s", r.Param("name"), user)
	}
	return k, nil
}

func (s *Server) listKeypairs(r *rest.Request) (*rest.Reply, error) {
	user, err := owner(r, "index")
	if err != nil {
		return nil, err
	}
	found := []*keypair{}
	for _, k := range s.keypairs {
		if k.user == user {
			found = append(found, k)
		}
	}
	slices.SortFunc(found, func(a, b *keypair) int { return cmp.Compare(a.name, b.name) })
	page, links, err := keypairPage(r, found)
	if err != nil {
		return nil, err
	}
	out := []rest.Doc{}
	for _, k := range page {
		out = append(out, rest.Doc{"keypair": keypairDoc(r, k)})
	}
	doc := rest.Doc{"keypairs": out}
	if links != nil {
		doc["keypairs_links"] = links
	}
	return rest.OK(doc)
}

// keypairPage cuts a page; there are pages since 2.35.
func keypairPage(r *rest.Request, found []*keypair) ([]*keypair, []rest.Doc, error) {
	q := r.URL.Query()
	if r.Minor < 35 {
		return found, nil, nil
	}
	limit, err := readLimit(q)
	if err != nil {
		return nil, nil, err
	}
	if marker := q.Get("marker"); marker != "" {
		at := slices.IndexFunc(found, func(k *keypair) bool { return k.name == marker })
		if at < 0 {
			return nil, nil, badRequest("Marker %s could not be found.", marker)
		}
		found = found[at+1:]
	}
	if limit == 0 || len(found) < limit {
		return found, nil, nil
	}
	return found[:limit], next(r, "os-keypairs", q, found[limit-1].name), nil
}

// fingerprint reads an OpenSSH public key; false when it is none.
func fingerprint(public string) (string, bool) {
	parts := strings.Fields(public)
	if len(parts) < 2 || (!strings.HasPrefix(parts[0], "ssh-") && !strings.HasPrefix(parts[0], "ecdsa-")) {
		return "", false
	}
	raw, err := base64.StdEncoding.DecodeString(parts[1])
	if err != nil {
		return "", false
	}
	sum := md5.Sum(raw)
	out := []string{}
	for _, b := range sum {
		out = append(out, fmt.Sprintf("%02x", b))
	}
	return strings.Join(out, ":"), true
}

// generated stands in for a key pair that Nova would make, each time another:
// nobody logs in with it.
func generated() (public, private string) {
	secret := uuid.NewString()
	return "ssh-rsa " + base64.StdEncoding.EncodeToString([]byte(secret)) + " Generated-by-Nova",
		"-----BEGIN RSA PRIVATE KEY-----\n" + secret + "\n-----END RSA PRIVATE KEY-----\n"
}

func (s *Server) createKeypair(r *rest.Request) (*rest.Reply, error) {
	in, _, err := body(r, "keypair")
	if err != nil {
		return nil, err
	}
	name := rest.Str(in, "name")
	if name == "" {
		return nil, field("keypair", in, "'name' is a required property")
	}
	public, private := rest.Str(in, "public_key"), ""
	if public == "" {
		if r.Minor >= 92 {
			return nil, field("keypair", in, "'public_key' is a required property")
		}
		public, private = generated()
	}
	print, ok := fingerprint(public)
	if !ok && private == "" {
		return nil, badRequest("Keypair data is invalid: failed to generate fingerprint")
	}
	user := r.Caller.UserID
	if other := rest.Str(in, "user_id"); other != "" && r.Minor >= 10 {
		user = other
	}
	if user != r.Caller.UserID && !r.Caller.Admin() {
		return nil, denied("os_compute_api:os-keypairs:create")
	}
	if s.keypair(user, name) != nil {
		return nil, fail(http.StatusConflict, "Key pair '%s' already exists.", name)
	}
	s.sequence++
	k := &keypair{id: s.sequence, user: user, name: name, kind: "ssh", public: public, fingerprint: print, created: s.Now()}
	if kind := rest.Str(in, "type"); kind != "" {
		k.kind = kind
	}
	s.keypairs = append(s.keypairs, k)
	d := keypairDoc(r, k)
	d["user_id"] = k.user
	if private != "" {
		d["private_key"] = private
	}
	if r.Minor >= 2 {
		return rest.Created(rest.Doc{"keypair": d})
	}
	return rest.OK(rest.Doc{"keypair": d})
}

func (s *Server) showKeypair(r *rest.Request) (*rest.Reply, error) {
	k, err := s.findKeypair(r, "show")
	if err != nil {
		return nil, err
	}
	d := keypairDoc(r, k)
	d["user_id"], d["created_at"], d["deleted"], d["deleted_at"], d["id"], d["updated_at"] = k.user, micros(k.created), false, nil, k.id, nil
	return rest.OK(rest.Doc{"keypair": d})
}

func (s *Server) deleteKeypair(r *rest.Request) (*rest.Reply, error) {
	k, err := s.findKeypair(r, "delete")
	if err != nil {
		return nil, err
	}
	s.keypairs = slices.DeleteFunc(s.keypairs, func(o *keypair) bool { return o == k })
	if r.Minor >= 2 {
		return rest.NoContent()
	}
	return &rest.Reply{Status: http.StatusAccepted}, nil
}
