"""The front desk and the processes behind it: who may run what, and on which loaded model."""
