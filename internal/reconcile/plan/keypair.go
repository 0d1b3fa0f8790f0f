package plan

import (
	"encoding/json"
	"strings"

	"github.com/tidwall/gjson"
)

// Keypair is a key pair as far as it must be the same in every pod.
type Keypair struct {
	UserID      string `json:"user_id"`
	Name        string `json:"name"`
	Type        string `json:"type"`
	PublicKey   string `json:"public_key"`
	Fingerprint string `json:"fingerprint"`
}

// KeypairID is the ID under which a user's key pair is kept; Nova has none that
// is the same in two pods.
func KeypairID(user, name string) string { return user + "/" + name }

// SplitKeypairID is the reverse. User IDs have no slash.
func SplitKeypairID(id string) (user, name string) {
	user, name, _ = strings.Cut(id, "/")
	return user, name
}

// ReadKeypair reads one out of Nova's reply.
func ReadKeypair(doc gjson.Result, user string) Keypair {
	k := Keypair{UserID: user, Name: doc.Get("name").Str, Type: doc.Get("type").Str, PublicKey: doc.Get("public_key").Str,
		Fingerprint: doc.Get("fingerprint").Str}
	if k.Type == "" {
		k.Type = "ssh"
	}
	return k
}

// Same says that both let the same people in. Comments may differ.
func (k Keypair) Same(o Keypair) bool {
	return k.Type == o.Type && keyText(k.PublicKey) == keyText(o.PublicKey)
}

// keyText is an OpenSSH key without its comment; a certificate as it is.
func keyText(key string) string {
	fields := strings.Fields(key)
	if len(fields) < 2 || strings.HasPrefix(key, "-----") {
		return strings.TrimSpace(key)
	}
	return strings.Join(fields[:2], " ")
}

// Replica is the key pair as a report shows it.
func (k Keypair) Replica() Replica {
	fields := map[string]string{"type": k.Type, "fingerprint": k.Fingerprint}
	return Replica{Kind: "keypair", ID: KeypairID(k.UserID, k.Name), Name: k.Name, Owner: k.UserID, Fields: fields}
}

// KeypairIn is FlavorIn for key pairs, which cannot be changed: make says that the
// pod is to get it, remove that what it has goes first.
func KeypairIn(want Keypair, told, found *Keypair, create bool) (remove, make bool) {
	switch {
	case found == nil:
		return false, create
	case want.Same(*found), told == nil, want.Same(*told), !found.Same(*told):
		return false, false
	}
	return true, true
}

// Content is the key pair as it is kept.
func (k Keypair) Content() json.RawMessage {
	raw, err := json.Marshal(k)
	if err != nil {
		panic("plan: a key pair does not encode: " + err.Error()) // strings always do
	}
	return raw
}
