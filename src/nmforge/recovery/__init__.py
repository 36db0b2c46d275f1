"""Training that gives accuracy back after compression: masks and scales stay, codes move on their grid."""
