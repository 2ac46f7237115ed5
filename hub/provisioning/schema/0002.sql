-- Until when one of several instances is the one to send a notice; '' when none is.
ALTER TABLE notices ADD COLUMN leased_until TEXT NOT NULL DEFAULT '';
