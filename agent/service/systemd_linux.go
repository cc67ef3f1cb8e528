package service

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	kardianos "github.com/kardianos/service"
)

// systemd is Host on Linux.
type systemd struct {
	account
	layout Layout
}

// This is the share of this machine that an instance has or would have.
func This(instance string) (Host, error) {
	l, err := LayoutOn("linux", instance, os.Getenv)
	if err != nil {
		return nil, err
	}
	return &systemd{account: account(l.Account), layout: l}, nil
}

func (s *systemd) Layout() Layout { return s.layout }

// Package: packages have places of their own here, see packaged.
func (s *systemd) Package() string { return "" }

func (s *systemd) Ready() error {
	if os.Geteuid() != 0 {
		return errors.New("this needs root: run it again with sudo")
	}
	// What sd_booted(3) looks at.
	if _, err := os.Stat("/run/systemd/system"); err != nil {
		first, _ := os.ReadFile("/proc/1/comm")
		return fmt.Errorf("systemd does not run this machine (its first process is %q), so there is no service to install. "+
			"Enrol with `sallyport-agent enroll --relay URL --code CODE --data DIR`, and keep `sallyport-agent run --data DIR` running: "+
			"in a container as its command, elsewhere with the tools of this system", strings.TrimSpace(string(first)))
	}
	return nil
}

// kardianos is that library's view of our service, with a unit of our own.
func (s *systemd) kardianos(unit string) (kardianos.Service, error) {
	if strings.Contains(unit, "{{") {
		return nil, errors.New("a path holds {{, which the unit can't express")
	}
	return kardianos.New(idle{}, &kardianos.Config{
		Name: strings.TrimSuffix(s.layout.Service, ".service"), DisplayName: s.layout.Title, Description: description,
		Option: kardianos.KeyValue{"SystemdScript": unit},
	})
}

func (s *systemd) Install(ctx context.Context, binary string) (func(context.Context) error, error) {
	before, err := os.ReadFile(s.layout.Definition)
	had := err == nil
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	undo := func(ctx context.Context) error {
		if err := s.Uninstall(ctx); err != nil || !had {
			return err
		}
		return s.register(string(before))
	}
	if had {
		// Replaced and not removed, so that systemd goes on knowing a service
		// that is running.
		if err := os.Remove(s.layout.Definition); err != nil {
			return nil, err
		}
	}
	if err := s.register(Unit(s.layout, binary)); err != nil {
		return nil, errors.Join(err, undo(ctx))
	}
	return undo, nil
}

func (s *systemd) register(unit string) error {
	k, err := s.kardianos(unit)
	if err != nil {
		return err
	}
	if err := k.Install(); err != nil {
		return fmt.Errorf("register %s with systemd: %w", s.layout.Service, err)
	}
	return nil
}

func (s *systemd) Uninstall(ctx context.Context) error {
	if _, err := os.Stat(s.layout.Definition); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	k, err := s.kardianos("-")
	if err != nil {
		return err
	}
	if err := k.Uninstall(); err != nil {
		return fmt.Errorf("remove %s from systemd: %w", s.layout.Service, err)
	}
	_, err = command(ctx, "systemctl", "reset-failed", s.layout.Service)
	if err != nil { // it had not failed, and is forgotten already
		return nil
	}
	return nil
}

func (s *systemd) Start(ctx context.Context) error   { return s.control(ctx, "start") }
func (s *systemd) Stop(ctx context.Context) error    { return s.control(ctx, "stop") }
func (s *systemd) Restart(ctx context.Context) error { return s.control(ctx, "restart") }

// control is not kardianos's, whose errors do not say what systemctl said. The
// last words of a service that did not start are part of the error.
func (s *systemd) control(ctx context.Context, action string) error {
	_, err := command(ctx, "systemctl", action, s.layout.Service)
	if err == nil {
		return nil
	}
	last, _ := command(ctx, "journalctl", "--unit", s.layout.Service, "--lines", "5", "--output", "cat", "--no-pager")
	if action == "stop" || last == "" {
		return err
	}
	return fmt.Errorf("%w\nIts last words:\n%s", err, last)
}

func (s *systemd) Status(ctx context.Context) (Status, error) {
	if _, err := os.Stat("/run/systemd/system"); err != nil {
		return Status{Name: s.layout.Service, State: NotInstalled}, nil
	}
	text, err := command(ctx, "systemctl", "show", "--property", shown, s.layout.Service)
	if err != nil {
		return Status{}, err
	}
	return readShow(s.layout.Service, text), nil
}
