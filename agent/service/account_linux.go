package service

import (
	"context"
	"fmt"
	"os/exec"
)

func (a account) AddAccount(ctx context.Context) (bool, error) {
	if there, err := a.exists(); err != nil || there {
		return false, err
	}
	if path, err := exec.LookPath("useradd"); err == nil {
		_, err = command(ctx, path, "--system", "--user-group", "--no-create-home", "--home-dir", "/nonexistent",
			"--shell", "/usr/sbin/nologin", "--comment", title, string(a))
		return err == nil, err
	}
	// A system without the usual tools, such as an image-based one.
	_, err := command(ctx, "systemd-sysusers", "--inline", fmt.Sprintf("u %s - %q /nonexistent", a, title))
	return err == nil, err
}

func (a account) RemoveAccount(ctx context.Context) error {
	there, err := a.exists()
	if err != nil || !there {
		return err
	}
	_, err = command(ctx, "userdel", string(a)) // and its group, which has no other member
	return err
}
