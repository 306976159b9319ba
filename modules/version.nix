# The version of Cairn that these modules belong to; a test holds it against the program's.
"0.1.0"
