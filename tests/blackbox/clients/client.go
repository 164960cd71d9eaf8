// SPDX-License-Identifier: MIT

// A client of Go's x/crypto/ssh: client PORT KEY KEX HOSTKEY CIPHER MAC VERB [COMMAND]. "-" leaves the choice to the library.
// VERB is exec, shell (its input is ours), pty, forward: the first line of what answers at the guest's own port 22, or
// remote THERE HERE: what the guest's port THERE gives it, which leads to HERE of this host. The status is the command's; 255
// without one.
package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"

	"golang.org/x/crypto/ssh"
)

func only(name string) []string {
	if name == "-" {
		return nil
	}
	return []string{name}
}

// One connection to there is led to here.
func lead(client *ssh.Client, there, here string) error {
	listener, err := client.Listen("tcp", "127.0.0.1:"+there)
	if err != nil {
		return err
	}
	go func() {
		back, err := listener.Accept()
		if err != nil {
			return
		}
		defer back.Close()
		if conn, err := net.Dial("tcp", "127.0.0.1:"+here); err == nil {
			io.Copy(back, conn)
		}
	}()
	return nil
}

func run(args []string) error {
	text, err := os.ReadFile(args[2])
	if err != nil {
		return err
	}
	key, err := ssh.ParsePrivateKey(text)
	if err != nil {
		return err
	}
	config := &ssh.ClientConfig{
		Config:            ssh.Config{KeyExchanges: only(args[3]), Ciphers: only(args[5]), MACs: only(args[6])},
		User:              "root",
		Auth:              []ssh.AuthMethod{ssh.PublicKeys(key)},
		HostKeyAlgorithms: only(args[4]),
		HostKeyCallback:   ssh.InsecureIgnoreHostKey(),
	}
	client, err := ssh.Dial("tcp", "127.0.0.1:"+args[1], config)
	if err != nil {
		return err
	}
	defer client.Close()
	if args[7] == "forward" {
		conn, err := client.Dial("tcp", "127.0.0.1:22")
		if err != nil {
			return err
		}
		line, err := bufio.NewReader(conn).ReadString('\n')
		fmt.Print(line)
		return err
	}
	command := ""
	if args[7] == "remote" {
		if err := lead(client, args[8], args[9]); err != nil {
			return err
		}
		command = "nc 127.0.0.1 " + args[8] + " </dev/null"
	} else if args[7] != "shell" {
		command = args[8]
	}
	session, err := client.NewSession()
	if err != nil {
		return err
	}
	session.Stdin, session.Stdout, session.Stderr = os.Stdin, os.Stdout, os.Stderr
	if args[7] == "pty" {
		if err := session.RequestPty("vt100", 33, 77, ssh.TerminalModes{}); err != nil {
			return err
		}
	}
	if command != "" {
		return session.Run(command)
	}
	if err := session.Shell(); err != nil {
		return err
	}
	return session.Wait()
}

func main() {
	err := run(os.Args)
	if exit, ok := err.(*ssh.ExitError); ok {
		os.Exit(exit.ExitStatus())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(255)
	}
}
