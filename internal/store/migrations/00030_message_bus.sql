-- Where the URL of the pod's message bus is to be found: env:NAME or file:PATH.
-- Empty: its operator has not granted it.
ALTER TABLE pods ADD COLUMN message_bus TEXT NOT NULL DEFAULT '';
