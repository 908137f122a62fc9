"""ROC, AUC and TPR at low FPR with ties right, and bootstrap intervals by group."""
