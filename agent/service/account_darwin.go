package service

import (
	"context"
	"errors"
)

func (a account) AddAccount(ctx context.Context) (bool, error) {
	if there, err := a.exists(); err != nil || there {
		return false, err
	}
	users, err := command(ctx, "dscl", ".", "-list", "/Users", "UniqueID")
	if err != nil {
		return false, err
	}
	groups, err := command(ctx, "dscl", ".", "-list", "/Groups", "PrimaryGroupID")
	if err != nil {
		return false, err
	}
	id := freeID(users, groups)
	if id == 0 {
		return false, errors.New("make a user for the agent: every number from 300 to 399 is taken")
	}
	for _, args := range dsclAccount(string(a), id) {
		if _, err := command(ctx, "dscl", args...); err != nil {
			return false, errors.Join(err, a.RemoveAccount(ctx))
		}
	}
	return true, nil
}

func (a account) RemoveAccount(ctx context.Context) error {
	if there, err := a.exists(); err != nil || !there {
		return err
	}
	var failed []error
	for _, args := range dsclRemoval(string(a)) {
		_, err := command(ctx, "dscl", args...)
		failed = append(failed, err)
	}
	return errors.Join(failed...)
}
