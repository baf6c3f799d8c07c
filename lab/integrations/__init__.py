"""The lab's rules inside other trainers: `lab.integrations.trl` and `lab.integrations.verl`, imported when needed."""
