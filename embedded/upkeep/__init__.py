"""What an operator does now and then: back up, restore, upgrade, go back."""
