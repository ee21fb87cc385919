"""Pictures for people. Only here may matplotlib be imported."""
