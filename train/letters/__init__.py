"""How the bundled letter head (autosing/weights/letters) is made: `python -m train.letters OUT`."""
