//go:build e2e

package e2e

import (
	"bufio"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"testing"
)

// Session is a running client that takes one command after the other: to start the
// client takes longer than most of its commands.
type Session struct {
	in  io.WriteCloser
	out *bufio.Scanner
}

// session makes a client in one process for all its commands but those that begin with
// an option, like --os-compute-api-version.
func session(t *testing.T, cloud string) Client {
	t.Helper()
	cmd := exec.CommandContext(live(t), "/usr/bin/python3", "testdata/client.py")
	cmd.Env = append(os.Environ(), "OS_CLIENT_CONFIG_FILE="+region.Clouds, "OS_CLOUD="+cloud, "OS_VOLUME_API_VERSION=3.65")
	in := must(cmd.StdinPipe())(t)
	out := bufio.NewScanner(must(cmd.StdoutPipe())(t))
	out.Buffer(nil, 16<<20)
	must(0, cmd.Start())(t)
	t.Cleanup(func() {
		_ = in.Close() // Wait tells
		if err := cmd.Wait(); err != nil {
			t.Errorf("the client of %s: %v", cloud, err)
		}
	})
	return Client{t: t, Cloud: cloud, session: &Session{in, out}}
}

// reply is what came of one command.
type reply struct {
	Code      int
	Out, Said string
}

func (s *Session) ask(line string) (reply, error) {
	if _, err := io.WriteString(s.in, line+"\n"); err != nil {
		return reply{}, err
	}
	if !s.out.Scan() {
		return reply{}, io.ErrUnexpectedEOF
	}
	var r reply
	err := json.Unmarshal(s.out.Bytes(), &r)
	return r, err
}
